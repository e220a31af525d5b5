"""Rewrites of a graph that change its nodes and not its values, because kernels and converters want them so.

Each is one function from a graph to a graph; a test holds that the values stay.
"""
