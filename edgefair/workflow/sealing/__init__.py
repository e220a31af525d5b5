"""Sealed audit sets: the account of what was asked of them, and who may still ask.

Nothing here knows a decision: rows are known by their hashes, and of a verdict only that it was asked for, or PASSed.
"""
