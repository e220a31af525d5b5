"""Is a difference of two binomial rates shown to be small, with an error that is known and not nearly known?

MOVER's limits miss at about alpha. Here the probability of the miss is computed for the two numbers of rows at hand, at
its largest over the rates that the rows leave possible: the exact unconditional test (Chan & Zhang, Biometrics 1999),
with MOVER's limit in place of Farrington & Manning's score (Statistics in Medicine 1990) as the order of the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, ndtri

from edgefair.measure.bounds import Array, lower_limit, root, upper_limit
from edgefair.measure.exact.steps import BEND, beyond, corners, ratio_of, staircase
from edgefair.measure.exact.supremum import at_least, largest

Whole = NDArray[np.int64]
# Share of alpha that is spent on leaving out the rates that the rows all but exclude.
SPENT = 1e-3
# Rows of the smaller cell above which the sums are long, and the staircase, by then 5 % wider, decides.
MOST_ROWS = 50_000
# Levels below that are not told apart, and what is not told apart of others, in normal scores.
LEAST_LEVEL, NEAR = 1e-15, 1e-8
# Halvings in the search for an upper limit that the threshold does not hold.
HALVINGS = 6
# Between limits that were computed in two orders.
ROUNDING = 1e-12


@lru_cache(maxsize=1 << 16)
def error_of_pass(x_1: int, n_1: int, x_2: int, n_2: int, threshold: float, alpha: float) -> float:
    """p-value of "p_1 - p_2 is at least the threshold": the probability of a table that speaks against it as much.

    P(p-value <= alpha) <= alpha at all rates. With C the rates that Clopper-Pearson limits leave possible, it is
    SPENT alpha + sup over C of P(as much) (Berger & Boos, JASA 1994). Tables are ordered by the level at which MOVER's
    limit comes within the threshold; before all others come those of which the staircase says so, at what is left of
    alpha, which is what they have together at most. 1 where MOVER's limit at alpha is not within the threshold.

    Args:
        x_1, n_1, x_2, n_2: successes and rows of the two cells, rows positive.
        threshold: at least 0, below 1.
        alpha: error probability that the p-value is compared with.
    """
    if n_1 > n_2:  # p_1 - p_2 = (1 - p_2) - (1 - p_1), and sums are over the smaller cell
        return error_of_pass(n_2 - x_2, n_2, n_1 - x_1, n_1, threshold, alpha)
    if _limit(x_1, n_1, x_2, n_2, alpha) > threshold + ROUNDING:
        return 1.0
    spent = SPENT * alpha
    first, second = corners(float(ratio_of(n_1, n_2)), alpha - spent, BEND)
    limits = upper_limit(x_1, n_1, first) - lower_limit(x_2, n_2, second)
    if limits.max() <= threshold:
        return alpha
    (low_1, high_1), (low_2, high_2) = (_interval(x, n, spent / 4) for x, n in ((x_1, n_1), (x_2, n_2)))
    low, high = max(low_2, low_1 - threshold, 0.0), min(high_2, high_1 - threshold, 1.0 - threshold)
    if low > high:
        return spent
    start, stop = (_reach(n_1, min(p + threshold, 1.0), spent) for p in (low, high))
    x = np.arange(start[0], stop[1] + 1)
    level = _level(x_1, n_1, x_2, n_2, threshold, alpha)
    furthest = int(limits.argmax())
    # Tables that the corner furthest out shows are all that the staircase shows, and some more: enough for most.
    for chosen in (slice(furthest, furthest + 1), slice(None)):
        least = _least_passing(x, n_1, n_2, threshold, level, (first[chosen], second[chosen]))
        least = np.where(x <= x_1, np.minimum(least, x_2), least)  # itself, however it was rounded
        found = spent + largest(x, least, (n_1, n_2), threshold, (low, high), alpha - spent)
        if found <= alpha:
            break
    return found


def confirmed(upper: Array, x: tuple[Whole, Whole], n: tuple[Whole, Whole], *, threshold: float, alpha: float) -> Array:
    """Upper limits of |p_1 - p_2|, raised where MOVER's are within the threshold and the exact test does not agree.

    Where the true difference is beyond the threshold, the limit is within it with probability alpha at most.

    Args:
        upper: MOVER's limits at alpha, float64 [pairs].
        x, n: successes and rows of the first and of the second cells, int64 [pairs]; rows positive.
    """
    if threshold >= 1 or not len(upper):
        return upper
    parts = [np.ascontiguousarray(part, dtype=np.int64).tobytes() for part in (*x, *n)]
    return np.frombuffer(_confirmed(np.ascontiguousarray(upper).tobytes(), *parts, threshold, alpha))


@lru_cache(maxsize=256)
def _confirmed(upper: bytes, x_1: bytes, x_2: bytes, n_1: bytes, n_2: bytes, threshold: float, alpha: float) -> bytes:
    found = np.frombuffer(upper).copy()
    cells = [[np.frombuffer(part, dtype=np.int64) for part in pair] for pair in ((x_1, n_1), (x_2, n_2))]
    for (xs, ns), (others, of) in (cells, cells[::-1]):
        doubtful = np.flatnonzero(found <= threshold)
        large = np.minimum(ns, of)[doubtful] > MOST_ROWS
        many, few = doubtful[large], doubtful[~large]
        at, steps = beyond((xs[many], others[many]), (ns[many], of[many]), threshold, alpha)
        found[many[at]] = np.maximum(found[many[at]], steps)
        at, _ = beyond((xs[few], others[few]), (ns[few], of[few]), threshold, (1 - SPENT) * alpha, BEND)
        for pair in few[at]:
            table = (int(xs[pair]), int(ns[pair]), int(others[pair]), int(of[pair]))
            if error_of_pass(*table, threshold, alpha) > alpha:
                found[pair] = max(found[pair], _next_limit(*table, threshold, alpha))
    return found.tobytes()


def _next_limit(x_1: int, n_1: int, x_2: int, n_2: int, threshold: float, alpha: float) -> float:
    """The next threshold for p_1 - p_2 that the test finds kept, where this one is not; at most the staircase's."""
    at, of = [np.array([x]) for x in (x_1, x_2)], [np.array([n]) for n in (n_1, n_2)]
    fails, shown = threshold, float(staircase((at[0], at[1]), (of[0], of[1]), (1 - SPENT) * alpha, BEND)[0])
    for _ in range(HALVINGS):
        middle = (fails + shown) / 2
        if error_of_pass(x_1, n_1, x_2, n_2, middle, alpha) <= alpha:
            shown = middle
        else:
            fails = middle
    return shown


def _interval(x: int, n: int, level: float) -> tuple[float, float]:
    """`clopper_pearson` of one cell."""
    lower = float(betaincinv(x, n - x + 1, level)) if x else 0.0
    return lower, float(betaincinv(x + 1, n - x, 1.0 - level)) if x < n else 1.0


def _limit(x_1: int, n_1: int, x_2: int, n_2: int, level: float) -> float:
    """MOVER's upper limit of p_1 - p_2."""
    rate_1, rate_2 = x_1 / n_1, x_2 / n_2
    above, below = _interval(x_1, n_1, level)[1] - rate_1, rate_2 - _interval(x_2, n_2, level)[0]
    return float(rate_1 - rate_2 + np.hypot(above, below))


def _level(x_1: int, n_1: int, x_2: int, n_2: int, threshold: float, alpha: float) -> float:
    """The least level at which MOVER's limit is within the threshold: the rank of the table among all of its size.

    In normal scores the limit is nearly straight, so its root is soon found. It is taken a hair less strictly, so that
    tables of the same rank, the mirrored one first, are within however they are rounded.
    """

    def excess(score: float) -> float:
        return _limit(x_1, n_1, x_2, n_2, float(ndtr(-score))) - threshold - ROUNDING

    start, stop = -float(ndtri(alpha)), -float(ndtri(LEAST_LEVEL))
    if excess(stop) <= 0:
        return LEAST_LEVEL
    if excess(start) >= 0:
        return alpha
    score = root(excess, start, stop, near=NEAR) - 2 * NEAR
    return float(ndtr(-max(score, start)))


def _reach(n: int, p: float, negligible: float) -> tuple[int, int]:
    """Numbers of successes between which nearly all of a binomial distribution is."""
    half = float(ndtri(1 - negligible)) * np.sqrt(n * p * (1 - p)) + 3
    return max(int(n * p - half), 0), min(int(n * p + half) + 1, n)


def _least_passing(
    x_1: Whole, n_1: int, n_2: int, threshold: float, level: float, corners: tuple[Array, Array]
) -> Whole:
    """For every x_1 the least x_2 that passes: MOVER's limit at `level`, or those of all corners, are within.

    n_2 + 1 where none does. It grows with x_1: MOVER's limit and the corners' grow with x_1 and fall with x_2 (their
    derivatives have one sign). A limit l_2 is at least v iff P(X_2 >= x_2) at v is at most its level.

    Args:
        corners: the levels of u_1 and of l_2, each [corners].
    """
    above = _upper(x_1, n_1, level) - x_1 / n_1
    least = np.minimum(_upper(x_1[:, None], n_1, corners[0]) - threshold - ROUNDING, 1.0)

    def within(at: Whole, x_2: Whole) -> NDArray[np.bool_]:
        rate = x_2 / n_2
        room = threshold + ROUNDING - x_1[at] / n_1 + rate
        narrow = rate - np.sqrt(np.maximum(room**2 - above[at] ** 2, 0.0))
        found = (narrow <= 0) | (at_least(x_2, n_2, np.minimum(np.maximum(narrow, 0.0), 1.0)) <= level)
        found &= room >= above[at]
        needed = least[at]
        shown = (needed <= 0) | (at_least(x_2[:, None], n_2, np.maximum(needed, 0.0)) <= corners[1])
        found |= shown.all(axis=1)
        return found

    return _search(within, _guess(x_1 / n_1 - threshold, above, n_2, level), n_2)


def _guess(less: Array, above: Array, n_2: int, level: float) -> Whole:
    """Near the x_2 with x_2 / n_2 = less + hypot(above, below), below from Wilson's limit (Newcombe 1998, method 4)."""
    z, rate = -float(ndtri(level)), less
    for _ in range(3):
        rate = np.minimum(np.maximum(rate, 0.0), 1.0)
        root = np.sqrt(np.maximum(z**2 - 2 - 1 / n_2 + 4 * rate * (n_2 * (1 - rate) + 1), 0.0))
        lower = (2 * n_2 * rate + z**2 - 1 - z * root) / (2 * (n_2 + z**2))
        rate = less + np.hypot(above, rate - np.maximum(lower, 0.0))
    return np.asarray(np.minimum(np.maximum(np.floor(n_2 * rate), 0), n_2), dtype=np.int64)


def _search(within: Callable[[Whole, Whole], NDArray[np.bool_]], guess: Whole, most: int) -> Whole:
    """The least x in 0..most with within(at, x), else most + 1, for every position `at`.

    By steps from a guess that double, then by halvings.
    """
    at = np.arange(len(guess))
    low, high, probe, step = np.full_like(guess, -1), np.full_like(guess, most + 1), guess, 1
    found = high.copy()
    while len(at):
        passes = within(at, probe)
        high, low = np.where(passes, probe, high), np.where(passes, low, probe)
        found[at] = high
        left = high - low > 1
        at, low, high, passes = at[left], low[left], high[left], passes[left]
        middle = (low + high) // 2
        probe = np.where(passes, np.maximum(high - step, middle), np.minimum(low + step, middle))
        step *= 2
    return found


def _upper(x: Whole, n: int, level: float | Array) -> Array:
    """The upper limits of `clopper_pearson` for numbers from one cell."""
    others = np.maximum(n - x, 1)
    return np.where(x < n, betaincinv(x + 1, others, 1.0 - level), 1.0)
