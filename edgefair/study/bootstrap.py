"""Intervals over seeds, over audit rows, and over both: two floors, of which more seeds lower only one.

Rows enter by their counts [group, label, decision]: multinomial resampling of the counts is resampling of the rows. All
seeds are judged on the same rows, and counts do not say which rows two seeds share their mistakes on. So the resampled
rows of a cell (group, label) are uniform numbers u that all seeds share, and a seed decides row u as its own counts
have it at quantile u: seeds agree as far as their counts allow (a comonotone coupling). That makes the interval over
rows as wide as it can be for a mean over seeds: never too sure, and it does not shrink with seeds.

With differences between two models on the same rows, pairing is what counts lack: give `PairedCounts` tables, whose rows
are resampled with both decisions; the quantiles then run from broken over unchanged to corrected rows. Crossed:
seeds and rows are drawn anew independently (Owen, Annals of Applied Statistics 2007: it errs to the wide side).
"""  # noqa: E501

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import DataError
from edgefair.measure.bounds import Array

Counts = NDArray[np.int64]
# tables [..., groups, labels, decisions] -> [...]
Statistic = Callable[[Array], Array]
REPLICATES = 2_000


@dataclass(frozen=True)
class Crossed:
    """A mean over seeds with 95 % intervals: the hull of percentile and basic limits (Davison & Hinkley 1997, 5).

    Attributes:
        value: mean over seeds of the statistic.
        over_seeds: other seeds, the same audit rows.
        over_rows: other audit rows, the same seeds; more seeds do not lower it.
        over_both: other seeds and other rows.
    """

    value: float
    over_seeds: tuple[float, float]
    over_rows: tuple[float, float]
    over_both: tuple[float, float]


def gaps(tables: Array) -> Array:
    """Equalized-odds gap of every table [..., groups, labels, decisions]; NaN where a cell has no rows."""
    return np.asarray(np.ptp(_rates(tables), axis=-3).max(axis=(-2, -1)))


def worst_balanced(tables: Array) -> Array:
    """Worst group's balanced accuracy of every table [..., groups, labels, decisions]; NaN where a cell has no rows."""
    return np.asarray(np.diagonal(_rates(tables), axis1=-2, axis2=-1).mean(axis=-1).min(axis=-1))


def crossed(
    tables: Counts,
    statistic: Statistic = gaps,
    *,
    paired: bool = False,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Crossed:
    """The statistic of one condition, or its growth from one condition to another, over seeds and rows.

    Args:
        tables: int64 [seeds, groups, labels, decisions]: of `GroupCounts`, of the same audit rows for every seed. With
            `paired`, [seeds, groups, labels, decisions of the first, of the second]: of `PairedCounts`.
        statistic: of tables; with `paired`, its value is that of the second minus that of the first.
        paired: whether the tables are of two models.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: fewer than two seeds, a cell without rows, or seeds with different audit rows.
    """
    tables = np.asarray(tables)
    _check(tables, paired)
    rng = np.random.default_rng(seed)

    def measured(some: Array) -> Array:
        if not paired:
            return statistic(some)
        return np.asarray(statistic(some.sum(axis=-2)) - statistic(some.sum(axis=-1)))

    own = measured(tables.astype(np.float64))
    seeds = rng.integers(0, len(tables), (replicates, len(tables)))
    resampled = measured(_resampled(tables, replicates, rng, _order(tables.shape[2], tables.shape[3:])))
    # A replicate that lost all rows of a cell has no statistic: it says nothing and is left out.
    resampled = resampled[~np.isnan(resampled).any(axis=1)]
    if len(resampled) < replicates / 2:
        raise DataError("half of the resampled audit sets lack all rows of a cell", expected="more audit rows")
    both = np.take_along_axis(resampled, seeds[: len(resampled)], axis=1)
    value = float(own.mean())
    return Crossed(
        value,
        _hull(value, own[seeds].mean(axis=1)),
        _hull(value, resampled.mean(axis=1)),
        _hull(value, both.mean(axis=1)),
    )


def _hull(value: float, drawn: Array) -> tuple[float, float]:
    """From the lower to the higher of the percentile limits q and the basic ones 2 value - q.

    A gap is a maximum, which resampling pushes up: percentiles alone would exclude the gap of a fair model, and their
    reflection alone a gap that is there.
    """
    low, high = (float(q) for q in np.quantile(drawn, [0.025, 0.975]))
    return min(low, 2 * value - high), max(high, 2 * value - low)


def _resampled(tables: Counts, replicates: int, rng: np.random.Generator, orders: NDArray[np.int64]) -> Array:
    """Tables of other audit rows, [replicates, *tables.shape].

    Between the cumulative shares of all seeds the uniform numbers fall into the same decision for every seed: their
    numbers there are multinomial, and a seed's counts are sums of them.

    Args:
        orders: [labels, outcomes]: for each label, the outcomes from the lowest quantile on.
    """
    groups, labels = tables.shape[1:3]
    flat = tables.reshape(*tables.shape[:3], -1)
    n = flat[0].sum(axis=-1)
    rows = rng.multinomial(n.sum(), (n / n.sum()).ravel(), replicates).reshape(replicates, groups, labels)
    drawn = np.zeros((replicates, *flat.shape))
    for group, label in np.ndindex(groups, labels):
        order = orders[label]
        # Whole numbers of rows, so that equal shares are one edge.
        ends = flat[:, group, label][:, order].cumsum(axis=1)
        edges = np.unique(np.concatenate([[0], ends.ravel()]))
        within = rng.multinomial(rows[:, group, label], np.diff(edges) / n[group, label])
        outcome = np.array([np.searchsorted(own, edges[:-1], side="right") for own in ends])
        for row, own in enumerate(outcome):
            for position in np.unique(own):
                drawn[:, row, group, label, order[position]] = within[:, own == position].sum(axis=1)
    return drawn.reshape(replicates, *tables.shape)


def _order(labels: int, decisions: tuple[int, ...]) -> NDArray[np.int64]:
    """For each label the outcomes in the order of quantiles: decisions; of two models: broken, the same, corrected."""
    indices = np.array(list(np.ndindex(*decisions)))
    orders = []
    for label in range(labels):
        gained = (indices[:, -1] == label).astype(int) - (indices[:, 0] == label)
        orders.append(np.argsort(gained, kind="stable"))
    return np.array(orders)


def _rates(tables: Array) -> Array:
    n = tables.sum(axis=-1, keepdims=True)
    return np.asarray(tables / np.where(n > 0, n, math.nan))


def _check(tables: Counts, paired: bool) -> None:
    if tables.ndim != 4 + paired or len(tables) < 2 or tables.dtype.kind not in "iu" or tables.min(initial=0) < 0:
        raise DataError(
            f"counts of shape {tables.shape} and type {tables.dtype}",
            expected="whole numbers [seeds, groups, labels, decisions (of each model)], two seeds or more",
        )
    n = tables.reshape(*tables.shape[:3], -1).sum(axis=-1)
    if not (n == n[0]).all():
        raise DataError("seeds were judged on different audit rows", expected="the same rows for every seed")
    if not n.size or (n == 0).any():
        raise DataError("a cell (group, label) has no audit rows", expected="rows in every cell")
