"""The search of the repair: which layers stay in float, and which other moves pass every gate at the least cost.

It knows choices and trials, but no models: `workflow.compression` makes and judges them.
"""
