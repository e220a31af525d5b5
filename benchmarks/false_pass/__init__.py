"""Simulations that show what the verdict claims, and would refute it: one file a kind."""
