"""One file a command, in a folder for what one wants with it, imported when the command is used.

A command parses, calls one function of `workflow`, prints what it returns and exits with its code. It holds no logic
that the Python API would miss, and imports what is heavy inside its function: `edgefair --help` stays fast.
"""
