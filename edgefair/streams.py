"""Streams of random numbers of one seed: each draw has its own, so that one more draw changes no other.

A generator is seeded with [the project's seed, the stream, ...]. The numbers are part of what a seed means: they stay.
"""

from __future__ import annotations

from enum import IntEnum


class Stream(IntEnum):
    """What is drawn."""

    # Training rows that `diagnose` takes gradients of.
    DIAGNOSED_ROWS = 11
    # Operands of INT8 layers, whose sums are looked at for saturation.
    SATURATION_OPERANDS = 17
    # Validation rows on which `explain` compares layers.
    EXPLAINED_ROWS = 19
    # Training rows on which `explain` looks at activations, and those on which `export` looks for saturation: two draws
    # of one number, which no command makes both of.
    EXPLAINED_ACTIVATIONS = 23
    SATURATION_ROWS = 23
    # Rows by which the search ranks layers.
    RANKING_ROWS = 29
    # Training rows whose loss orders calibration rows.
    CALIBRATION_LOSS = 31
    # Training rows by which the last layer's bias is corrected.
    BIAS_ROWS = 37
    # Pictures of the training rows that foreign calibration rows are compared with.
    COMPARED_PICTURES = 41
    # Synthetic rows of a bundle by which a device is known again.
    CANARIES = 43
