"""edgefair: compress a model for the edge, and ship it only if it is shown to be fair on the device."""

__version__ = "0.1.0"
