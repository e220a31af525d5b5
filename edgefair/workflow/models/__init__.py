"""Which model a command means, and what is known about it: spec, origin, categories, rows that it has seen.

Files and folders of users come in here; they are checked before anything is computed.
"""
