"""The largest probability that two binomial numbers are among some tables, over rates that differ by a threshold.

The tables are given by the least x_2 that is among them for every x_1, which grows with x_1. So the probability P falls
with p_1 and grows with p_2, and among all rates that differ by the threshold or more it is largest where they differ by
just that (Barnard's convexity): it is a function of p_2 alone, with p_1 = p_2 + threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln, xlog1py, xlogy

from edgefair.measure.bounds import Array

Whole = NDArray[np.int64]
# Distance of the first rates, in standard errors; parts of an interval that is not yet told; how often it is parted.
STEP, PARTS, ROUNDS = 1.6, 3, 4


def largest(
    x: Whole, least: Whole, n: tuple[int, int], threshold: float, between: tuple[float, float], enough: float
) -> float:
    """At least the largest P over p_2 in `between`, and more than `enough` only where that is, or nearly.

    P is computed at rates some standard errors apart. Between two of them it is bounded (`_bounds`); where the bound is
    more than enough, rates that are closer are looked at.

    Args:
        x: consecutive x_1 [x]; smaller ones are among the tables whatever x_2 is, and larger ones: these with their
            largest probability, at the largest p_1.
        least: the least x_2 for each, n_2 + 1 where there is none; non-decreasing.
        n: rows of both.
    """
    low, high = between
    beyond = float(at_least(x[-1:] + 1, n[0], np.array([min(high + threshold, 1.0)]))[0])
    enough -= beyond
    p = _nodes(*n, threshold, low, high)
    found = probability(x, least, n, threshold, p)
    for _ in range(ROUNDS):
        bound = _bounds(p, found, n, threshold)
        doubtful = np.flatnonzero(bound > enough)
        if found.max() > enough or not len(doubtful):
            break
        share = np.arange(1, PARTS) / PARTS
        more = (p[doubtful, None] + (p[doubtful + 1] - p[doubtful])[:, None] * share).ravel()
        order = np.argsort(np.concatenate([p, more]), kind="stable")
        found = np.concatenate([found, probability(x, least, n, threshold, more)])[order]
        p = np.concatenate([p, more])[order]
    else:
        # P falls with p_1 and grows with p_2, so at neither end's p_1 and p_2 it is no smaller than in between.
        bound = _bounds(p, found, n, threshold)
        doubtful = np.flatnonzero(bound > enough)
        corner = probability(x, least, n, threshold, p[doubtful + 1], p[doubtful] + threshold)
        bound[doubtful] = np.minimum(bound[doubtful], corner)
    return float(max(found.max(), bound.max(initial=0.0))) + beyond


def probability(
    x: Whole, least: Whole, n: tuple[int, int], threshold: float, p_2: Array, p_1: Array | None = None
) -> Array:
    """P(X_2 >= least(X_1)) at each of the rates, [rates]; smaller X_1 than in `x` count as that, larger do not."""
    first = np.minimum(p_2 + threshold if p_1 is None else p_1, 1.0)[:, None]
    log_ways = gammaln(n[0] + 1) - gammaln(x + 1) - gammaln(n[0] - x + 1)
    share = np.exp(log_ways + xlogy(x, first) + xlog1py(n[0] - x, -first))
    below = 1 - at_least(x[:1], n[0], first)
    return np.asarray((share * at_least(least, n[1], p_2[:, None])).sum(axis=1) + below[:, 0])


def at_least(x: Whole, n: int, p: Array) -> Array:
    """P(X >= x) of a binomial number, 0 <= x <= n + 1."""
    inner = np.minimum(np.maximum(x, 1), n)
    return np.where(x <= 0, 1.0, np.where(x > n, 0.0, betainc(inner, n - inner + 1, p)))


def _bounds(p: Array, found: Array, n: tuple[int, int], threshold: float) -> Array:
    """No less than the largest P between each two neighbours of the rates `p` [rates]: [rates - 1].

    With h = 1 for a table that is among them and 0 for others, and S the score, P'' = E[h (S^2 + S')] >= -E[h J], where
    J = X_1/p_1^2 + (n_1 - X_1)/q_1^2 + X_2/p_2^2 + (n_2 - X_2)/q_2^2 and E[J] = I. As h falls with X_1 and grows with
    X_2, it has no positive covariance with the first and the last term (Chebyshev); with the sum of the others it has
    sqrt(P) s at most (Cauchy-Schwarz), s^2 = n_1 p_1 / q_1^3 + n_2 q_2 / p_2^3 their variance. So
    P'' >= -(I P + s sqrt(P)). If P is largest, with M, inside of an interval of width w, it has no slope there, and at
    the nearer end, w / 2 away at most, it is less by (w^2 / 8) (I M + s sqrt(M)) at most, with the largest I and s of
    the interval: I is convex in p, both parts of s are monotone. This is solved for M.
    """
    low, high = p[:-1], p[1:]
    end = np.maximum(found[:-1], found[1:])
    wide = (high - low) ** 2 / 8
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.maximum(_information(low, n, threshold), _information(high, n, threshold))
        first = high + threshold
        spread = np.sqrt(n[0] * first / (1 - first) ** 3 + n[1] * (1 - low) / low**3)
        linear, room = wide * spread, 1 - wide * information
        root = (linear + np.sqrt(linear**2 + 4 * room * end)) / (2 * room)
    told = (room > 0) & np.isfinite(root)
    return np.where(told, np.minimum(root, 1.0) ** 2, 1.0)


def _information(p: Array, n: tuple[int, int], threshold: float) -> Array:
    other = np.minimum(p + threshold, 1.0)
    return np.asarray(n[0] / (other * (1 - other)) + n[1] / (p * (1 - p)))


def _nodes(n_1: int, n_2: int, threshold: float, low: float, high: float) -> Array:
    """Rates p_2 from low to high, `STEP` standard errors apart at most by the information of both cells."""
    if low >= high:
        return np.array([low])
    p = low + (high - low) * np.sin(np.linspace(0, np.pi / 2, 401)) ** 2
    information = _information((p[1:] + p[:-1]) / 2, (n_1, n_2), threshold)
    steps = np.concatenate([[0.0], np.cumsum(np.sqrt(information) * np.diff(p))]) / STEP
    return np.asarray(np.interp(np.linspace(0, steps[-1], int(steps[-1]) + 2), steps, p))
