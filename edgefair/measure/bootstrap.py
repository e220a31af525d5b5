"""The gap's distribution by resampling: information beside the verdict, never a part of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgefair.measure.counts import GroupCounts

REPLICATES = 10_000


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
    """Resample the counts table: multinomial(n, x / n) over all its entries, the law of resampling the rows."""
    table = counts.table
    total = counts.n
    if not total or (table.sum(axis=2) == 0).any():
        return GapBootstrap(None, None, None, None, 1.0, replicates, seed)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(total, (table / total).ravel(), size=replicates).reshape(replicates, *table.shape)
    rows = drawn.sum(axis=3, keepdims=True)
    defined = (rows > 0).all(axis=(1, 2, 3))
    if not defined.any():
        return GapBootstrap(None, None, None, None, 1.0, replicates, seed)
    gaps = np.ptp(drawn[defined] / rows[defined], axis=1).max(axis=(1, 2))
    gap = float(np.ptp(table / table.sum(axis=2, keepdims=True), axis=0).max())
    lower, upper = np.quantile(gaps, [0.025, 0.975])
    return GapBootstrap(
        gap=gap,
        bias_reduced=max(0.0, 2 * gap - float(gaps.mean())),
        lower=float(lower),
        upper=float(upper),
        undefined=float(1 - defined.mean()),
        replicates=replicates,
        seed=seed,
    )
