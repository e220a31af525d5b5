"""Commands that let others check what was judged."""
