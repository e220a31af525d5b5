"""Candidates for shipping: the steps of a recipe applied, files made, tried on validation rows, repaired.

Audit rows decide nothing here: a compression is chosen on training and validation rows.
"""
