"""Latency statistics from the times of single queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from edgefair.measure.ladder import Ladder
from edgefair.probe.clock.effective import BATCHES, batched, effective_queries, mean_variance
from edgefair.probe.device import slowed_down

# LoadGen's early stopping at confidence 0.99: queries from which a percentile may be stated at all. To be judged by, it
# must rest on as many independent ones.
LEAST_FOR_P90 = 64
LEAST_FOR_P99 = 662
DRIFT = 0.1
# Of the reference's speed: below it a report says that compression made the model slower.
SLOWER = 0.97
# Share of the phase that its queries must fill: between them the probe reads its clock and keeps the time, no more.
FILLED = 0.5
# Keys of a summary that reports of before lack.
ADDED = frozenset({"effective_queries", "ladder", "quantiles"})
# Shares of the queries whose times are kept, where enough queries lie beyond them on either side to state them.
SHARES = (0.01, *(step / 20 for step in range(1, 20)), 0.99)
LEAST_BEYOND = LEAST_FOR_P99 / 100


@dataclass(frozen=True)
class Quantiles:
    """The distribution of query times, as far as a reader can use it; no verdict rests on it.

    Attributes:
        shares: of the queries, ascending.
        ms: within which so many were answered.
    """

    shares: tuple[float, ...]
    ms: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is no distribution (ValueError)."""
        if not self.shares or len(self.shares) != len(self.ms):
            raise ValueError("the quantiles of latency are not as many as their shares")
        if any(share >= other for share, other in pairwise((0.0, *self.shares, 1.0))):
            raise ValueError("the shares of the quantiles of latency do not ascend from 0 to 1")
        if any(not one <= other for one, other in pairwise((0.0, *self.ms))):
            raise ValueError("the quantiles of latency do not ascend")

    @classmethod
    def of(cls, ordered_ms: NDArray[np.float64]) -> Self | None:
        """Those that query times in ascending order, [queries], are enough for; None where there are none."""
        shares = [share for share in SHARES if min(share, 1 - share) * len(ordered_ms) >= LEAST_BEYOND - 1e-9]
        return cls(tuple(shares), tuple(np.quantile(ordered_ms, shares).tolist())) if shares else None


@dataclass(frozen=True)
class LatencySummary:
    """Latency of one model, batch 1, in milliseconds.

    Attributes:
        p90_ms, p99_ms: None where there are too few queries to state them.
        p90_lower_ms, p90_upper_ms: one-sided limits of the p90 at `level`, from order statistics; None where there are
            too few independent queries for them.
        drift: median of the last third of the queries over that of the first third, minus 1.
        effective_queries: independent queries that would tell as much of the p90; None in reports of before.
        ladder: the limits at smaller levels too, by which a verdict judges; None where there are none, and in reports
            of before.
        quantiles: of the query times; None where there are too few queries, and in reports of before.
    """

    queries: int
    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    p90_lower_ms: float | None
    p90_upper_ms: float | None
    drift: float
    effective_queries: int | None = None
    ladder: Ladder | None = None
    quantiles: Quantiles | None = None

    @property
    def too_few(self) -> bool:
        """Whether the queries, as alike as they are, tell too little to judge a p90 by."""
        return self.effective_queries is not None and self.effective_queries < LEAST_FOR_P90

    @property
    def drifted(self) -> bool:
        """Whether the device became slower or faster while it was measured (thermal throttling, other load)."""
        return abs(self.drift) > DRIFT

    def limits(self, level: float) -> tuple[float, float]:
        """Limits of the p90 that miss with probability `level` at most; those that there are in reports of before."""
        if self.ladder is not None:
            return self.ladder.at(level)
        lower, upper = self.p90_lower_ms, self.p90_upper_ms
        return -np.inf if lower is None else lower, np.inf if upper is None else upper

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; what was not told is absent."""
        return {key: value for key, value in asdict(self).items() if key not in ADDED or value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: not such an object, or limits that contradict each other.
        """
        ladder = None if data.get("ladder") is None else Ladder.from_json(data["ladder"])
        told = data.get("quantiles")
        quantiles = None if told is None else Quantiles(tuple(told["shares"]), tuple(told["ms"]))
        found = cls(**{**data, "ladder": ladder, "quantiles": quantiles})
        if ladder is not None and (ladder.lower_ms[0], ladder.upper_ms[0]) != (found.p90_lower_ms, found.p90_upper_ms):
            raise ValueError("the limits of the p90 are not those of its first level")
        return found


@dataclass(frozen=True)
class SpeedUp:
    """How many times faster the candidate is than the reference: ratio of medians with a two-sided interval."""

    ratio: float
    lower: float
    upper: float


def summarize(nanoseconds: NDArray[np.int64], *, level: float) -> LatencySummary:
    """Percentiles of query times int64 [queries] in the order in which they were taken.

    The limits of the p90 are order statistics at `level` and less (`Ladder`).
    """
    ordered = np.sort(nanoseconds) / 1e6
    queries = len(ordered)
    third = max(1, queries // 3)
    drift = float(np.median(nanoseconds[-third:]) / np.median(nanoseconds[:third]) - 1)
    enough = queries >= LEAST_FOR_P90
    independent = effective_queries(nanoseconds)
    ladder = Ladder.of(ordered, independent, level) if enough and independent >= LEAST_FOR_P90 else None
    return LatencySummary(
        queries=queries,
        p50_ms=float(np.quantile(ordered, 0.5)),
        p90_ms=float(np.quantile(ordered, 0.9)) if enough else None,
        p99_ms=float(np.quantile(ordered, 0.99)) if queries >= LEAST_FOR_P99 else None,
        p90_lower_ms=None if ladder is None else ladder.lower_ms[0],
        p90_upper_ms=None if ladder is None else ladder.upper_ms[0],
        drift=drift,
        effective_queries=int(independent),
        ladder=ladder,
        quantiles=Quantiles.of(ordered),
    )


def speed_up(reference: NDArray[np.int64], candidate: NDArray[np.int64], *, level: float) -> SpeedUp:
    """Median of the reference's times over that of the candidate's in 20 consecutive batches, their geometric mean.

    Its interval at 1 - level is exp(mean log ratio +- t_{19, 1-level/2} s), s^2 the variance of the mean of the log
    ratios of batches (`mean_variance`). The two were interleaved, so batch i of one was taken together with batch i of
    the other.

    Raises:
        ValueError: fewer rounds than batches.
    """
    rounds = min(len(reference), len(candidate))
    if rounds < BATCHES:
        raise ValueError(f"{rounds} rounds make no {BATCHES} batches")

    def log_ratios(batches: int) -> NDArray[np.float64]:
        before, after = (np.median(batched(times[:rounds], batches), axis=1) for times in (reference, candidate))
        parts: NDArray[np.float64] = np.log(before / after)
        return parts

    reach = float(np.exp(stdtrit(BATCHES - 1, 1 - level / 2) * np.sqrt(mean_variance(log_ratios))))
    ratio = float(np.exp(log_ratios(BATCHES).mean()))
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


def notes_of(
    target: str, device: Mapping[str, Any], latency: LatencySummary | None, speed: SpeedUp | None
) -> list[str]:
    """What a reader must know of how fast a model ran on a target, and how steadily.

    Args:
        device: its fingerprint, with its state before and after it was timed.
    """
    notes = []
    if speed is not None and speed.upper < SLOWER:
        notes.append(
            f"on target '{target}' the compressed model is slower than the reference: it runs at {speed.ratio:.2f} "
            f"of its speed ({speed.lower:.2f} to {speed.upper:.2f}), batch 1"
        )
    if latency is None:
        return notes
    if slowed_down(device.get("before_timing", {}), device.get("after_timing", {})):
        notes.append(f"target '{target}' throttled while it was timed (heat or a weak power supply)")
    if latency.drifted:
        way = "slower" if latency.drift > 0 else "faster"
        notes.append(
            f"target '{target}' became {abs(latency.drift):.0%} {way} while it was timed (median of the "
            "last third of the queries against the first): it throttled, or something else ran there"
        )
    return notes
