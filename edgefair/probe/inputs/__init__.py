"""Raw features -> graph inputs, on the host and on the device by the same lines."""
