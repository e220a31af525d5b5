"""Confidence limits of rates and of their differences: deterministic, in closed form, or a root where there is none."""

from __future__ import annotations

from collections.abc import Callable

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
    return lower_limit(x, n, level), upper_limit(x, n, level)


def lower_limit(x: ArrayLike, n: ArrayLike, level: float | Array) -> Array:
    """The lower one of `clopper_pearson` alone."""
    successes, failures = _outcomes(x, n)
    some = successes > 0
    return np.where(some, betaincinv(np.where(some, successes, 1), failures + 1, level), 0.0)


def upper_limit(x: ArrayLike, n: ArrayLike, level: float | Array) -> Array:
    """The upper one of `clopper_pearson` alone."""
    successes, failures = _outcomes(x, n)
    others = failures > 0
    return np.where(others, betaincinv(successes + 1, np.where(others, failures, 1), 1.0 - level), 1.0)


def _outcomes(x: ArrayLike, n: ArrayLike) -> tuple[Array, Array]:
    successes, trials = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64))
    return successes, trials - successes


def mover(
    a: Array, a_lower: Array, a_upper: Array, b: Array, b_lower: Array, b_upper: Array, correlation: float | Array = 0.0
) -> tuple[Array, Array, Array]:
    """a - b with limits from the limits of its parts: (difference, lower, upper).

    L = d - sqrt((a - l_a)^2 + (u_b - b)^2 - 2 rho (a - l_a) (u_b - b)), U likewise with u_a - a and b - l_b
    (MOVER: Donner & Zou, Statistics in Medicine 2002; Zou & Donner 2008, eq. 5).

    Args:
        correlation: rho of the two estimates; 0 where they rest on other rows.
    """
    difference = a - b
    below, above = (
        _hypotenuse(a - a_lower, b_upper - b, correlation),
        _hypotenuse(a_upper - a, b - b_lower, correlation),
    )
    return difference, difference - below, difference + above


def change(gained: tuple[Array, Array, Array], lost: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """The share of rows gained minus the share lost, of the same rows, with limits from theirs.

    A row that is gained is not lost: the shares of a multinomial sample have rho = -sqrt(a b / ((1 - a) (1 - b))),
    which widens the limits where many rows flip.

    Args:
        gained, lost: (share, lower, upper); the shares add to 1 at most.
    """
    a, b = gained[0], lost[0]
    others = (1 - a) * (1 - b)
    return mover(*gained, *lost, correlation=-np.sqrt(np.divide(a * b, others, out=np.ones_like(a), where=others > 0)))


def _hypotenuse(one: Array, other: Array, correlation: float | Array) -> Array:
    return np.asarray(np.sqrt(np.maximum(one**2 + other**2 - 2 * correlation * one * other, 0.0)))


def absolute(difference: Array, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
    """|d| with limits from those of d: (|d|, lower, upper), lower >= 0."""
    return (
        np.abs(difference),
        np.maximum(np.maximum(lower, -upper), 0.0),
        np.maximum(np.abs(lower), np.abs(upper)),
    )


def root(function: Callable[[float], float], low: float, high: float, *, near: float = 1e-12) -> float:
    """Where a continuous function is 0, as near as that, between two places at which it has different signs.

    By the line through both ends of the bracket, where an end that stays twice counts half (Illinois method: Dowell &
    Jarratt, BIT 1971), and by halves where that is slow.

    Raises:
        ValueError: the signs are the same.
    """
    at_low, at_high = function(low), function(high)
    if at_low == 0 or at_high == 0:
        return low if at_low == 0 else high
    if (at_low > 0) == (at_high > 0):
        raise ValueError(f"no change of sign between {low} and {high}: {at_low}, {at_high}")
    stayed, times, wide = 0, 0, high - low
    while high - low > 2 * near:
        middle, times = high - (high - low) * at_high / (at_high - at_low), times + 1
        if times % 4 == 0:
            middle, wide = (low + high) / 2 if high - low > wide / 4 else middle, high - low
        middle = min(max(middle, low + near), high - near)
        found = function(middle)
        if (found > 0) == (at_low > 0):
            low, at_low, at_high, stayed = middle, found, at_high / (2 if stayed > 0 else 1), 1
        else:
            high, at_high, at_low, stayed = middle, found, at_low / (2 if stayed < 0 else 1), -1
    return (low + high) / 2
