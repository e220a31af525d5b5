"""Ways to reach a machine, one file each: this one, ssh, a container, an emulated processor.

A transport starts the probe and gives its pipes; what travels through them is the same for all.
"""
