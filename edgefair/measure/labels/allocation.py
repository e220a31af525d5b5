"""Strata of rows by score, and how many rows of each to label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.measure.bounds import Array

Whole = NDArray[np.int64]
# Rows of a stratum that are labelled at least, if it has so many.
LEAST = 8
# Ranges of scores that the rows of a group and decision are parted into, at most.
RANGES = 6
# What a score may be wrong by: share of it that is spread over all labels.
DOUBT = 0.02
# Probability of the decided label where a model gives no score.
UNSCORED = 0.8
ROUNDS, HALVINGS = 60, 50


def doubted(score: Array) -> Array:
    """Probabilities of the labels by a score that nobody has checked: float64 [rows, labels]."""
    found: Array = (1 - DOUBT) * score + DOUBT / score.shape[1]
    return found


def stratify(cell: Whole, probability: Array, order: NDArray[np.uint64], *, ranges: int) -> Whole:
    """The stratum of every row, int64 [rows]: rows of one cell with scores in one range.

    Ranges hold equal sums of sqrt(p (1 - p)), as Dalenius & Hodges (J. American Statistical Association 1959) have it.

    Args:
        cell: of rows that one model decides alike, of one group, int64 [rows].
        probability: of the decided label, float64 [rows].
        order: hashes that order rows of one score, uint64 [rows].
    """
    spread = np.sqrt(probability * (1 - probability))
    stratum = np.empty(len(cell), dtype=np.int64)
    for at in np.unique(cell).tolist():
        rows = np.flatnonzero(cell == at)
        rows = rows[np.lexsort((order[rows], probability[rows]))]
        reached = np.cumsum(spread[rows]) / spread[rows].sum()
        stratum[rows] = at * ranges + np.minimum((reached * ranges).astype(np.int64), ranges - 1)
    return np.unique(stratum, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Wanted:
    """A rate that shall be known well, of one group and label.

    Attributes:
        members: which strata are of the group, bool [strata].
        label: index of the label.
        decision: index of the decision whose rate it is.
        threshold: to which its error is compared.
        name: of the group, for people.
    """

    members: NDArray[np.bool_]
    label: int
    decision: int
    threshold: float
    name: str = ""


def costs(rows: Whole, share: Array, decision: Whole, wanted: Sequence[Wanted]) -> Array:
    """What a stratum with one labelled row adds to the variance of every rate, over its threshold squared: [rates,
    strata].

    r = A / B of estimated numbers of rows, so d r = (1[decided so] - r) d B_h / B, and
    Var(B_h) = N_h^2 p_h (1 - p_h) / n_h (Cochran, Sampling Techniques, 1977, sections 5.5 and 6.11).

    Args:
        rows: of every stratum, int64 [strata].
        share: guessed share of every label, float64 [strata, labels].
        decision: of every stratum's rows, int64 [strata].
    """
    found = np.zeros((len(wanted), len(rows)))
    for at, item in enumerate(wanted):
        p = share[:, item.label]
        having = np.where(item.members, rows * p, 0.0)
        total = having.sum()
        if total > 0:
            so = decision == item.decision
            rate = having[so].sum() / total
            found[at] = item.members * (rows * (so - rate) / total / item.threshold) ** 2 * p * (1 - p)
    return found


def allocate(cost: Array, rows: Whole, budget: int) -> Whole:
    """Rows to label of every stratum, `budget` in all, so that the largest variance is as small as possible.

    For one rate n_h is proportional to sqrt(cost) (Neyman, J. Royal Statistical Society 1934); for the largest of
    several some weighted sum of their costs takes the place of the cost, and weights of larger variances are raised
    until they are equal.

    Args:
        cost: of `costs`, float64 [rates, strata].
        rows: of every stratum, int64 [strata].
        budget: between `least_budget(rows)` and all rows.
    """
    weight = np.full(len(cost), 1 / max(len(cost), 1))
    wanted = np.clip(rows, 1, LEAST).astype(np.float64)
    for _ in range(ROUNDS):
        wanted = _in_proportion(np.sqrt(weight @ cost), rows, budget)
        variance = (cost / wanted).sum(axis=1)
        weight *= np.sqrt(np.maximum(variance, 1e-12 * variance.max()) / max(variance.max(), 1e-300))
        weight /= weight.sum()
    found = np.maximum(np.floor(wanted), np.minimum(rows, LEAST)).astype(np.int64)
    gain = weight @ cost + 1e-300
    while found.sum() < budget:
        best = int(np.where(found < rows, gain / (found * (found + 1.0)), -1.0).argmax())
        found[best] += 1
    return found


def least_budget(rows: Whole) -> int:
    """The fewest rows that strata of these sizes need."""
    return int(np.minimum(rows, LEAST).sum())


def _in_proportion(size: Array, rows: Whole, budget: int) -> Array:
    """Numbers in proportion to `size`, between LEAST and the rows of a stratum, that add up to the budget."""
    least, size = np.minimum(rows, LEAST), np.maximum(size, 1e-9 * size.max() + 1e-300)
    low, high = 0.0, budget / float(size.min())
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = np.clip(middle * size, least, rows).sum() > budget
        low, high = (low, middle) if over else (middle, high)
    return np.clip(low * size, least, rows)
