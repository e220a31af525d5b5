"""Columns before they are configured: kinds, suspects, values that a model has never seen.

Nothing is changed or dropped here: `init` and `data describe` show what is found, and `data.dataset` refuses.
"""
