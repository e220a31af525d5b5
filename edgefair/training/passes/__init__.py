"""Passes of a network over the training rows beside those that train it."""
