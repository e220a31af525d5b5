"""Results as values, and as people and machines read them.

All words that a verdict is told in stand here. Nothing is computed here that a verdict depends on.
"""
