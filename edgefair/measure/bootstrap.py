"""The gap's distribution by resampling: information beside the verdict, never a part of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.measure.counts import GroupCounts

REPLICATES = 10_000
# Entries of resampled tables that are held at once.
DRAWN = 1 << 20


@dataclass(frozen=True)
class GapBootstrap:
    """A bootstrap of the equalized-odds gap.

    Attributes:
        gap: the estimate. A maximum of noisy differences: biased upwards.
        bias_reduced: 2 gap - mean of the replicates (Efron & Tibshirani 1993, ch. 10), at least 0.
        lower, upper: 2.5th and 97.5th percentile of the replicates.
        undefined: share of the replicates in which a cell had no row; they have no gap.
    """

    gap: float | None
    bias_reduced: float | None
    lower: float | None
    upper: float | None
    undefined: float
    replicates: int
    seed: int


def gap_bootstrap(counts: GroupCounts, *, seed: int, replicates: int = REPLICATES) -> GapBootstrap:
    """Resample the counts table: multinomial(n, x / n) over all its entries, the law of resampling the rows.

    Only entries (y, c) that some group has are drawn, and a few replicates at a time: memory does not grow with the
    number of classes squared.
    """
    table = counts.table
    if not counts.n or (table.sum(axis=2) == 0).any():
        return GapBootstrap(None, None, None, None, 1.0, replicates, seed)
    label, decision = np.nonzero(table.any(axis=0))
    x = table[:, label, decision]
    first = np.searchsorted(label, np.arange(len(counts.classes)))
    rng = np.random.default_rng(seed)
    at_once = max(1, DRAWN // x.size)
    parts = [
        _gaps(rng.multinomial(counts.n, (x / counts.n).ravel(), size=size).reshape(size, *x.shape), first, label)
        for size in np.diff([*range(0, replicates, at_once), replicates]).tolist()
    ]
    gaps = np.concatenate(parts)
    if not len(gaps):
        return GapBootstrap(None, None, None, None, 1.0, replicates, seed)
    gap = float(_gaps(x[None], first, label)[0])
    lower, upper = np.quantile(gaps, [0.025, 0.975])
    return GapBootstrap(
        gap=gap,
        bias_reduced=max(0.0, 2 * gap - float(gaps.mean())),
        lower=float(lower),
        upper=float(upper),
        undefined=1 - len(gaps) / replicates,
        replicates=replicates,
        seed=seed,
    )


def _gaps(x: NDArray[np.int64], first: NDArray[np.int64], label: NDArray[np.int64]) -> NDArray[np.float64]:
    """The gap of every replicate in which each cell has rows, float64 [replicates or fewer].

    Args:
        x: rows by replicate, group and entry (y, c), entries in the order of y: int64 [replicates, groups, entries].
        first: first entry of every label.
        label: of every entry.
    """
    rows = np.add.reduceat(x, first, axis=2)
    defined = (rows > 0).all(axis=(1, 2))
    rates = x[defined] / rows[defined][:, :, label]
    found: NDArray[np.float64] = np.ptp(rates, axis=1).max(axis=1)
    return found
