"""Latency statistics from the times of single queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

BOOTSTRAP = 1000
# Rounds that enter the bootstrap, evenly spread over the phase: more would cost time and tell nothing new.
MOST_ROUNDS = 4096
# LoadGen's early stopping at confidence 0.99: queries from which a percentile may be stated at all.
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
        p90_lower_ms, p90_upper_ms: one-sided limits of the p90 at `level`, from order statistics.
        drift: median of the last third of the queries over that of the first third, minus 1.
    """

    queries: int
    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    p90_lower_ms: float | None
    p90_upper_ms: float | None
    drift: float

    @property
    def drifted(self) -> bool:
        """Whether the device became slower or faster while it was measured (thermal throttling, other load)."""
        return abs(self.drift) > DRIFT

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class SpeedUp:
    """How many times faster the candidate is than the reference: ratio of medians with a two-sided interval."""

    ratio: float
    lower: float
    upper: float


def summarize(nanoseconds: NDArray[np.int64], *, level: float) -> LatencySummary:
    """Percentiles of query times int64 [queries] in the order in which they were taken.

    The limits of the p90 are the order statistics X_(k) with P(X_(k) > q) <= level (lower) and P(X_(k) < q) <= level
    (upper): distribution-free (Hahn & Meeker, Statistical Intervals, 1991, section 5.2).
    """
    ordered = np.sort(nanoseconds) / 1e6
    queries = len(ordered)
    third = max(1, queries // 3)
    drift = float(np.median(nanoseconds[-third:]) / np.median(nanoseconds[:third]) - 1)
    enough = queries >= LEAST_FOR_P90
    lower, upper = _quantile_ranks(queries, 0.9, level)
    return LatencySummary(
        queries=queries,
        p50_ms=float(np.quantile(ordered, 0.5)),
        p90_ms=float(np.quantile(ordered, 0.9)) if enough else None,
        p99_ms=float(np.quantile(ordered, 0.99)) if queries >= LEAST_FOR_P99 else None,
        p90_lower_ms=float(ordered[lower - 1]) if enough and lower >= 1 else None,
        p90_upper_ms=float(ordered[upper - 1]) if enough and upper <= queries else None,
        drift=drift,
    )


def speed_up(reference: NDArray[np.int64], candidate: NDArray[np.int64], *, level: float, seed: int) -> SpeedUp:
    """Median of the reference's times over that of the candidate's, with a bootstrap interval at 1 - level.

    The two were interleaved, so round i of one belongs to round i of the other: rounds are resampled, not times.
    """
    rounds = min(len(reference), len(candidate))
    kept = np.linspace(0, rounds - 1, min(rounds, MOST_ROUNDS)).astype(np.int64)
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(kept), size=(BOOTSTRAP, len(kept)))
    before, after = (np.median(times[kept][picks], axis=1) for times in (reference, candidate))
    lower, upper = np.quantile(before / after, [level / 2, 1 - level / 2])
    ratio = float(np.median(reference[kept]) / np.median(candidate[kept]))
    return SpeedUp(ratio, float(lower), float(upper))


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
