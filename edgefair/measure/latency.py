"""Latency statistics from the times of single queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri, stdtrit

from edgefair.probe.clock.effective import BATCHES, batched, effective_queries, mean_variance

# LoadGen's early stopping at confidence 0.99: queries from which a percentile may be stated at all. To be judged by, it
# must rest on as many independent ones.
LEAST_FOR_P90 = 64
LEAST_FOR_P99 = 662
DRIFT = 0.1
# Share of the phase that its queries must fill: between them the probe reads its clock and keeps the time, no more.
FILLED = 0.5


@dataclass(frozen=True)
class LatencySummary:
    """Latency of one model, batch 1, in milliseconds.

    Attributes:
        p90_ms, p99_ms: None where there are too few queries to state them.
        p90_lower_ms, p90_upper_ms: one-sided limits of the p90 at `level`, from order statistics; None where there are
            too few independent queries for them.
        drift: median of the last third of the queries over that of the first third, minus 1.
        effective_queries: independent queries that would tell as much of the p90; None in reports of before.
    """

    queries: int
    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    p90_lower_ms: float | None
    p90_upper_ms: float | None
    drift: float
    effective_queries: int | None = None

    @property
    def too_few(self) -> bool:
        """Whether the queries, as alike as they are, tell too little to judge a p90 by."""
        return self.effective_queries is not None and self.effective_queries < LEAST_FOR_P90

    @property
    def drifted(self) -> bool:
        """Whether the device became slower or faster while it was measured (thermal throttling, other load)."""
        return abs(self.drift) > DRIFT

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; what was not told is absent."""
        return {key: value for key, value in asdict(self).items() if key != "effective_queries" or value is not None}


@dataclass(frozen=True)
class SpeedUp:
    """How many times faster the candidate is than the reference: ratio of medians with a two-sided interval."""

    ratio: float
    lower: float
    upper: float


def summarize(nanoseconds: NDArray[np.int64], *, level: float) -> LatencySummary:
    """Percentiles of query times int64 [queries] in the order in which they were taken.

    The limits of the p90 are the order statistics X_(k) with P(X_(k) > q) <= level (lower) and P(X_(k) < q) <= level
    (upper): distribution-free (Hahn & Meeker, Statistical Intervals, 1991, section 5.2). Ranks are those of n_eff
    (z / t)^2 queries, stretched to the n that there are: queries of one device are alike (`effective_queries`), and how
    alike is an estimate from batches, with batches - 1 degrees of freedom.
    """
    ordered = np.sort(nanoseconds) / 1e6
    queries = len(ordered)
    third = max(1, queries // 3)
    drift = float(np.median(nanoseconds[-third:]) / np.median(nanoseconds[:third]) - 1)
    enough = queries >= LEAST_FOR_P90
    independent = effective_queries(nanoseconds)
    told = int(independent * (ndtri(1 - level) / stdtrit(BATCHES - 1, 1 - level)) ** 2)
    lower, upper = _quantile_ranks(told, 0.9, level)
    judged = enough and independent >= LEAST_FOR_P90
    return LatencySummary(
        queries=queries,
        p50_ms=float(np.quantile(ordered, 0.5)),
        p90_ms=float(np.quantile(ordered, 0.9)) if enough else None,
        p99_ms=float(np.quantile(ordered, 0.99)) if queries >= LEAST_FOR_P99 else None,
        p90_lower_ms=float(ordered[lower * queries // told - 1]) if judged and lower >= 1 else None,
        p90_upper_ms=float(ordered[-(-upper * queries // told) - 1]) if judged and upper <= told else None,
        drift=drift,
        effective_queries=int(independent),
    )


def speed_up(reference: NDArray[np.int64], candidate: NDArray[np.int64], *, level: float) -> SpeedUp:
    """Median of the reference's times over that of the candidate's in 20 consecutive batches, their geometric mean.

    Its interval at 1 - level is exp(mean log ratio +- t_{b-1, 1-level/2} s), s^2 the variance of the mean of the log
    ratios of the b batches (`mean_variance`). The two were interleaved, so batch i of one was taken together with
    batch i of the other.

    Raises:
        ValueError: fewer rounds than batches.
    """
    rounds = min(len(reference), len(candidate))
    if rounds < BATCHES:
        raise ValueError(f"{rounds} rounds make no {BATCHES} batches")
    before, after = (np.median(batched(times[:rounds]), axis=1) for times in (reference, candidate))
    parts = np.log(before / after)
    reach = float(np.exp(stdtrit(BATCHES - 1, 1 - level / 2) * np.sqrt(mean_variance(parts))))
    ratio = float(np.exp(parts.mean()))
    return SpeedUp(ratio, ratio / reach, ratio * reach)


def rule_unmet(
    times: Mapping[str, NDArray[np.int64]], *, min_queries: int, min_seconds: float, max_seconds: float
) -> str | None:
    """Why query times are too few to judge by, as the rule of the measurement says; None where they are enough.

    The rule is MLPerf's for a single stream: a least number of queries and a least duration, for each model.

    Args:
        times: nanoseconds of every query, int64 [queries], by model.
    """
    queries = min(len(taken) for taken in times.values())
    seconds = sum(int(taken.sum()) for taken in times.values()) / 1e9 / len(times)
    if queries >= min_queries and seconds >= FILLED * min_seconds:
        return None
    if queries < min_queries and seconds >= FILLED * max_seconds:
        return f"{queries:,} queries in the {max_seconds:g} s that the profile allows, which requires {min_queries:,}"
    return (
        f"{queries:,} queries that took {seconds:.3g} s, and the profile requires {min_queries:,} and {min_seconds:g} s"
    )


def _quantile_ranks(n: int, q: float, level: float) -> tuple[int, int]:
    """Ranks (1-based) of the lower and upper limit of a quantile; 0 or n + 1 where there is none."""
    counts = np.arange(n + 1)
    below = bdtr(counts, n, q)
    lower = int(np.searchsorted(below, level, side="right"))
    upper = int(np.searchsorted(below, 1 - level, side="left")) + 1
    return lower, upper
