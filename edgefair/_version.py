"""The version of this package, which needs no installed metadata."""

__version__ = "0.2.0"
