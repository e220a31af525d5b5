"""Commands of devices."""
