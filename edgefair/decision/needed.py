"""How many rows would decide a whole family of comparisons?"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from scipy.special import ndtr

from edgefair.measure.bounds import Array

POWER = 0.8
# A distance from the threshold below which billions of rows per cell would be needed.
SMALLEST_ROOM = 1e-5
# What limits of counts add to normal limits, for every rate in a difference: a row to the variance, and a shift.
# By simulation: rates of 0.0005 to 0.5, thresholds of 0.01 to 0.1, 2 to 16 groups; the chance is 0.78 at least.
ROWS_ADDED, SHIFT = 1.0, 0.63
# Halvings of a factor of four: to half a per cent.
HALVINGS = 8


def rows_needed(
    estimate: Array, variance: Array, threshold: Array, rates: Array, *, alpha: float, rule: str, least: int
) -> int | None:
    """Rows in every cell with which a whole family passes with a probability of 80 %, if the observed rates are true.

    A comparison passes iff |D| + w <= tau, D ~ N(d, v / n), with the width of its limits w = z sqrt(v / n + k / n^2) +
    0.63 k / n, z = z_{1-alpha} (by the point rule w = 0). P(all pass) is at least 1 - the sum of what each of them
    misses (Bonferroni), whatever they have in common: n is where this sum is 20 %. A number for one comparison alone
    would promise too much, for all of them must pass.

    Args:
        estimate: |d| of every comparison, float64 [comparisons].
        variance: v, n times the variance of d, positive, same shape.
        threshold: tau, same shape.
        rates: k, how many rates d is made of, same shape.
        least: rows below which a cell is not judged.

    Returns:
        At least `least`; None where some |d| >= tau, where more rows would prove the opposite, and where no audit set
        is that large.
    """
    if not estimate.size:
        return least
    if float((threshold - estimate).min()) <= SMALLEST_ROOM:
        return None
    z = NormalDist().inv_cdf(1 - alpha)

    def suffice(n: float) -> bool:
        deviation, width = np.sqrt(variance / n), np.zeros_like(variance)
        if rule == "bound":
            width = z * np.sqrt(variance / n + ROWS_ADDED * rates / n**2) + SHIFT * rates / n
        room = threshold - width
        return float((ndtr((estimate - room) / deviation) + ndtr((-estimate - room) / deviation)).sum()) <= 1 - POWER

    if suffice(least):
        return least
    high = 4.0 * least
    while not suffice(high):
        high *= 4
    low = high / 4
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if suffice(middle) else (middle, high)
    return math.ceil(high)
