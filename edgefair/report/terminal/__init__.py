"""Results as people read them in a terminal, one file per result: `render` makes what the console prints.

Wording may change freely; keys of the JSON report may not.
"""
