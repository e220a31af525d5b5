"""The search of the repair: which layers stay in float, and which other moves keep every gate at the least cost.

It knows choices and trials, and nothing of models: `workflow.compression` makes and judges them.
"""
