"""A measurement in steps: which rows come first, what is judged at each look, and when it may end."""
