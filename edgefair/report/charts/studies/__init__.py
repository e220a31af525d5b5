"""Charts of experiments: means over levels, effects about zero, dots of seeds, points in a plane.

Nothing rests on a colour alone: every series has a letter, and the key below the chart says what it is.
"""
