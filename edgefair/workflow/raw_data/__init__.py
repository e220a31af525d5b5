"""A file that nobody has described yet: what `edgefair init` finds in it, all at once."""
