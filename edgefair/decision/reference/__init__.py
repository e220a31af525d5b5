"""Verdicts that rest on the audit of a reference, taken once on many rows, and on what compression changed."""
