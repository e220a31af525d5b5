"""Results as values, and as people and machines read them.

All words in which a verdict is shown are here. Nothing that a verdict depends on is computed here.
"""
