"""The commands: each file is one, and joins the layers below into what a user asks for.

The folders hold what several commands need, in the order explanation, compression, measurement and training, models; an
import contract enforces it. Files, clocks and devices are touched here and at the edges below, nowhere else.
"""
