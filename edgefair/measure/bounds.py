"""Confidence limits of rates and of their differences: closed form, deterministic."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

Array = NDArray[np.float64]


def clopper_pearson(x: ArrayLike, n: ArrayLike, level: float | Array) -> tuple[Array, Array]:
    """One-sided limits of a binomial rate, each at `level`.

    l = BetaInv(level; x, n - x + 1) and u = BetaInv(1 - level; x + 1, n - x); l = 0 at x = 0, u = 1 at x = n. Without
    rows the limits are 0 and 1 (Clopper & Pearson, Biometrika 1934).

    Args:
        x: successes, any shape; effective numbers need not be whole.
        n: trials, same shape.
        level: error probability of each limit, 0 < level < 1; one for all, or their own.
    """
    successes, trials = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64))
    failures = trials - successes
    some, others = successes > 0, failures > 0
    lower = np.where(some, betaincinv(np.where(some, successes, 1), failures + 1, level), 0.0)
    upper = np.where(others, betaincinv(successes + 1, np.where(others, failures, 1), 1.0 - level), 1.0)
    return lower, upper


def mover(
    a: Array, a_lower: Array, a_upper: Array, b: Array, b_lower: Array, b_upper: Array
) -> tuple[Array, Array, Array]:
    """a - b with limits from the limits of its parts: (difference, lower, upper).

    L = d - sqrt((a - l_a)^2 + (u_b - b)^2), U = d + sqrt((u_a - a)^2 + (b - l_b)^2)
    (MOVER: Donner & Zou, Statistics in Medicine 2002; Zou & Donner 2008).
    """
    difference = a - b
    lower = difference - np.sqrt((a - a_lower) ** 2 + (b_upper - b) ** 2)
    upper = difference + np.sqrt((a_upper - a) ** 2 + (b - b_lower) ** 2)
    return difference, lower, upper


def absolute(difference: Array, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
    """|d| with limits from those of d: (|d|, lower, upper), lower >= 0."""
    return (
        np.abs(difference),
        np.maximum(np.maximum(lower, -upper), 0.0),
        np.maximum(np.abs(lower), np.abs(upper)),
    )
