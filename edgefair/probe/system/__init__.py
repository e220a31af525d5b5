"""What operating systems do differently: files on each of them, and what Linux alone tells. Asked here, nowhere else.

The standard library only. What a system lacks is None or absent, never a zero; what cannot be done raises OSError.
"""
