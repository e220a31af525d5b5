"""Statistics as functions of counts: rates, limits, paired counts, latency.

No files, no devices, no clock and no torch. What a verdict rests on has its source (paper, equation) in its docstring
and a test against an independent calculation.
"""
