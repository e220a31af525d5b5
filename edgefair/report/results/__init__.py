"""What commands return: values and no words. Each has a schema, and every format of `report.formats` can write it."""
