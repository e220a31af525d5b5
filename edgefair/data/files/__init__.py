"""Tables from files, value by value as they are written there: CSV, Parquet and `.npz`.

The text of a value depends on nothing else in its column. Everything in a file is foreign: sizes are checked before
memory is taken, and damage is a `DataError`.
"""
