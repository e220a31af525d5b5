"""Raw features -> graph inputs, on the host and on the device by the same code.

A change here changes what every shipped model sees: tests hold both sides to the same bytes.
"""
