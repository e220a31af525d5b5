"""A bundle on the device: files, signature, verdict and settings, checked before a model is loaded.

The loader that ships to devices is this package. What it refuses, `bundle` must never write.
"""
