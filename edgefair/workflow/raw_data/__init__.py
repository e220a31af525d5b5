"""A file that is not configured yet: what `edgefair init` finds in it, all at once.

It only reads, and its findings become text and keys of the config.
"""
