"""What queries of one device tell: those that follow each other share its load, its heat and its clock."""

from __future__ import annotations

from typing import Callable

import numpy as np

BATCHES = 20
# Other numbers of batches, longer ones, that see slower drifts: times t_{b-1} / t_{19} at 95 %, as what is known from
# fewer batches is known less.
SCALES = {20: 1.0, 10: 1.0808, 5: 1.3266, 3: 2.0558}
# A correlation of neighbouring batches that 20 of them can still tell from a drift.
MOST_CORRELATED = 0.9
PERCENTILE = 0.9


def mean_variance(means_at: Callable[[int], np.ndarray]) -> float:
    """Variance of the mean of a series: the largest that its batches show, be they short or long (`SCALES`).

    A device whose load wanders has a little of it in every batch, and short ones alone see none of the slow part: the
    p90 of onnxruntime on an idle machine was within limits from 20 batches in 72 % of the runs that said 95 %, within
    these in 93 % (`benchmarks/latency_coverage.py`).

    Args:
        means_at: number of batches -> the mean of each, or another statistic of it, float64 [batches].
    """
    return max(factor**2 * _from_batches(means_at(batches)) for batches, factor in SCALES.items())


def _from_batches(means: np.ndarray) -> float:
    """Variance of the mean of a series, from the means of its batches, float64 [batches].

    s^2 / b, times (1 + r) / (1 - r) for batches that are still too short to be independent; r is their correlation with
    the next one, corrected for its bias -1 / b (Law & Carson, Operations Research 1979, on batch means; Bartlett 1946
    on the variance of a mean of autocorrelated values).
    """
    centred = means - means.mean()
    squares = float((centred**2).sum())
    if squares == 0:
        return 0.0
    correlation = float((centred[1:] * centred[:-1]).sum()) / squares + 1 / len(means)
    kept = min(max(correlation, 0.0), MOST_CORRELATED)
    return squares / (len(means) - 1) / len(means) * (1 + kept) / (1 - kept)


def batched(series: np.ndarray, batches: int = BATCHES) -> np.ndarray:
    """A series in consecutive batches of one size, [batches, size]; what is left over at the end is out."""
    size = len(series) // batches
    return series[: size * batches].reshape(batches, size)


def effective_queries(times: np.ndarray) -> float:
    """How many independent queries would tell as much of the 90th percentile as these, at most their number.

    n_eff = p (1 - p) / Var(share of the queries within the percentile); 0 for fewer queries than batches.

    Args:
        times: of queries in the order in which they were taken, [queries].
    """
    if len(times) < BATCHES:
        return 0.0
    within = times <= np.quantile(times, PERCENTILE)
    share = float(within.mean())
    variance = mean_variance(lambda batches: batched(within, batches).mean(axis=1))
    return float(len(times)) if variance == 0 else min(float(len(times)), share * (1 - share) / variance)
