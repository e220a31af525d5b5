"""Ways to reach a machine, one file each: this one, ssh, a container, an emulated processor.

A transport starts the probe and provides its pipes; the protocol is the same for all.
"""
