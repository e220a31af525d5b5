"""Limits of a difference of two binomial rates that hold by proof: the largest over the corners of a staircase."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from edgefair.measure.bounds import Array, lower_limit, upper_limit

Whole = NDArray[np.int64]
# Corners of the staircase, and how far it goes beyond the limit at alpha, in normal scores.
CORNERS, REACH = 40, 1.8
# Pairs from which on finding equal cells takes less time than it saves.
WORTH_SORTING = 32
# Neighbouring corners that are looked at together, at first; how near to a threshold such a limit may be.
RUNS, CLOSE = (20, 5), 1e-6
# How far the staircase falls back at its ends where it shall hold at any ratio of standard errors, not at one.
BEND = 0.1
# Staircases for so many ratios of standard errors from one to its double: any holds, the nearest is narrow.
RATIOS = 4


def beyond(
    x: tuple[Whole, Whole], n: tuple[Whole, Whole], threshold: float, alpha: float, bend: float = 0.0
) -> tuple[Whole, Array]:
    """Places of the pairs whose `staircase` is beyond a threshold, and how far it goes.

    Most are within it by far, which few corners show: those of a run are no further out than both ends of it together.
    """
    left = np.arange(len(n[0]))

    def steps(run: int) -> Array:
        return staircase((x[0][left], x[1][left]), (n[0][left], n[1][left]), alpha, bend, run=run)

    for run in RUNS:
        left = left[steps(run) > threshold - CLOSE]
    found = steps(1)
    return left[found > threshold], found[found > threshold]


def staircase(
    x: tuple[Whole, Whole], n: tuple[Whole, Whole], alpha: float, bend: float = 0.0, *, run: int = 1
) -> Array:
    """The largest of u_1(a_k) - l_2(b_k) over the corners (a_k, b_k) of a staircase: nearly as narrow as MOVER's.

    With q_1 = P(X_1 <= x_1) and q_2 = P(X_2 >= x_2) at the true rates, Clopper-Pearson's u_1 at level a misses iff
    q_1 < a. The q are independent and no smaller than uniform numbers, so some corner has q_1 >= a_k and q_2 >= b_k
    with probability 1 - alpha at least, if it has for uniform numbers; and then p_1 - p_2 <= u_1(a_k) - l_2(b_k).

    Args:
        run: corners of which only the ends are looked at, a divisor of their number: the limit is no less for it, as
            the a_k fall along a staircase and the b_k grow.
    """
    if not len(n[0]):
        return np.empty(0)
    distinct, kind = np.unique(ratio_of(*n), return_inverse=True)
    levels = [corners(ratio, alpha, bend) for ratio in distinct]
    first, second = (np.stack(part) for part in zip(*levels, strict=True))
    upper = _once(upper_limit, x[0], n[0], kind, first[:, run - 1 :: run])
    lower = _once(lower_limit, x[1], n[1], kind, second[:, ::run])
    return np.asarray((upper - lower).max(axis=1))


def ratio_of(n_1: ArrayLike, n_2: ArrayLike) -> Array:
    """About the ratio of the standard errors of the second rate and the first."""
    return np.asarray(2 ** (np.round(RATIOS * np.log2(np.divide(n_1, n_2)) / 2) / RATIOS))


def _once(limit: Callable[[Whole, Whole, Array], Array], x: Whole, n: Whole, kind: Whole, levels: Array) -> Array:
    """Limits at the levels of each pair's kind of corners, [pairs, corners], equal ones computed once."""
    if len(x) < WORTH_SORTING:
        return limit(x[:, None], n[:, None], levels[kind])
    # By places among the distinct numbers: sorting rows of three takes ten times as long.
    _, cell = _joined(np.unique(x, return_inverse=True)[1], np.unique(n, return_inverse=True)[1])
    first, pair = _joined(cell, kind)
    return limit(x[first, None], n[first, None], levels[kind[first]])[pair]


def _joined(one: Whole, other: Whole) -> tuple[Whole, Whole]:
    """Of pairs of small numbers, where each distinct one is first, and the place of each among the distinct ones."""
    _, first, place = np.unique(one * (other.max() + 1) + other, return_index=True, return_inverse=True)
    return first, place


@lru_cache(maxsize=1 << 10)
def corners(ratio: float, alpha: float, bend: float = 0.0) -> tuple[Array, Array]:
    """Levels a_k and b_k of a staircase, each [corners]: P(some k: Q_1 >= a_k, Q_2 >= b_k) >= 1 - alpha.

    For independent uniform Q. In normal scores the corners are on a straight line at right angles to (cos, sin) with
    tan = `ratio`, of the standard errors of the second rate and the first. Where these are in another ratio, as they
    are for other rates, the ends of the line say more than MOVER's limit; bent back, they say less, and the middle a
    little more.

    Args:
        bend: how far the line falls back per step along it, either way.
    """
    angle = np.arctan(ratio)
    sine, cosine = np.sin(angle), np.cos(angle)
    bend = min(bend, ratio, 1 / ratio)  # so that levels of one side grow while those of the other fall
    least = float(ndtri(1 - alpha))
    along = np.linspace(-1, 1, CORNERS) * (least + REACH)

    def scores(z: float) -> tuple[Array, Array]:
        bent = z - bend * np.abs(along)
        return cosine * bent + sine * along, sine * bent - cosine * along

    low, high = least, 2 * least + 2 * REACH
    for _ in range(40):
        middle = (low + high) / 2
        first, second = scores(middle)
        if (np.diff(ndtr(first), prepend=0.0) * ndtr(second)).sum() >= 1 - alpha:
            high = middle
        else:
            low = middle
    first, second = scores(high)
    return ndtr(-first), ndtr(-second)
