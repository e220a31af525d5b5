"""From columns of rows to the table of their counts, which everything else is a function of."""
