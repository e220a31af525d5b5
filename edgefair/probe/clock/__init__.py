"""Time and energy of single queries on the device."""
