"""Pools: devices of one class that share the rows of one target."""
