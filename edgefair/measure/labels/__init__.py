"""Audit rows of which only some are labelled: which ones, and what they tell of all."""
