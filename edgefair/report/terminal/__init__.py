"""Results as people read them in a terminal, one file a result: `render` makes what the console prints."""
