"""Tables from files, value by value as they are written: CSV, Parquet and `.npz`.

The text of a value depends on nothing else in its column. Everything in a file is untrusted: sizes are checked before
memory is allocated, and damage is a `DataError`.
"""
