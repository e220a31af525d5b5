"""Columns of many rows: in memory up to a bound for all of them together, beyond it in temporary files.

They are arrays of numpy wherever they lie. What goes over all rows does it slice by slice, so that no more of a file
is in memory at a time.
"""
