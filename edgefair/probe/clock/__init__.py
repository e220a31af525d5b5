"""Time and energy of single queries on the device.

Raw readings only: limits and drift are computed from them on the host, in `measure`.
"""
