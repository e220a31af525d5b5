"""Training data made poorer on purpose, to study what that does to a model: labels flipped, rows left out.

A hash of who a row is decides: a stronger degree holds what a weaker one does, whatever the order of the rows. Audit
rows are never touched.
"""
