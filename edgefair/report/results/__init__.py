"""What commands return: values without words. Each has a schema, and every format of `report.formats` can write it."""
