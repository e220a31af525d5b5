"""What is asked of every device of a target by itself: whether a pool decides alike, and what the model costs there."""
