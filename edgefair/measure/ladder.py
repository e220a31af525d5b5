"""Distribution-free limits of a percentile, at ever smaller error probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri, stdtrit

from edgefair.probe.clock.effective import BATCHES, PERCENTILE

# Steps end at a level that special functions hardly tell from 0.
LEAST_LEVEL = 1e-10
# Of levels that are equal but for rounding.
TOLERANCE = 1e-9
# Standard deviations, and counts, from the mean of a binomial within which ranks are sought: any level is reached.
REACH, REACH_COUNTS = 12, 40


@dataclass(frozen=True)
class Ladder:
    """One-sided limits of the p90 of query times at the levels level / 2^k, k = 0, 1, 2, ...

    The times themselves are not kept with a verdict. With these, whoever may err by less can take wider limits.

    Attributes:
        level: error probability of each limit of step 0.
        lower_ms, upper_ms: limits by step, ever wider; None where the queries are too few for one.
    """

    level: float
    lower_ms: tuple[float | None, ...]
    upper_ms: tuple[float | None, ...]

    def at(self, level: float) -> tuple[float, float]:
        """Limits that miss with probability `level` at most: of the next step down, (-inf, inf) where none is kept."""
        step = max(0, math.ceil(math.log2(self.level / level) - TOLERANCE))
        lower, upper = (part[step] if step < len(part) else None for part in (self.lower_ms, self.upper_ms))
        return -math.inf if lower is None else lower, math.inf if upper is None else upper

    @classmethod
    def of(cls, ordered_ms: NDArray[np.float64], independent: float, level: float) -> Self:
        """Limits from query times in ascending order, [queries], that tell as much as `independent` ones do.

        They are the order statistics X_(k) with P(X_(k) > q) <= level (lower) and P(X_(k) < q) <= level (upper): Hahn &
        Meeker, Statistical Intervals, 1991, section 5.2. Ranks are those of n_eff (z / t)^2 queries, stretched to the n
        that there are: queries of one device are alike (`effective_queries`), and how alike is an estimate from
        batches, with batches - 1 degrees of freedom.
        """
        steps = range(math.floor(math.log2(level / LEAST_LEVEL)) + 1)
        lower, upper = zip(*(_limits(ordered_ms, independent, level / 2**step) for step in steps), strict=True)
        # Ranks are rounded to those that there are: a smaller level must not come out narrower.
        return cls(level, _known(np.minimum.accumulate(lower)), _known(np.maximum.accumulate(upper)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `dataclasses.asdict` made.

        Raises:
            KeyError, TypeError, ValueError: not such an object, or limits that narrow at a smaller level.
        """
        found = cls(float(data["level"]), tuple(data["lower_ms"]), tuple(data["upper_ms"]))
        if not 0 < found.level < 1 or not found.lower_ms or len(found.lower_ms) != len(found.upper_ms):
            raise ValueError("the limits of latency have no levels")
        below = [-math.inf if value is None else float(value) for value in found.lower_ms]
        above = [math.inf if value is None else float(value) for value in found.upper_ms]
        if any(one < other for one, other in pairwise(below)) or any(one > other for one, other in pairwise(above)):
            raise ValueError("the limits of latency narrow at smaller levels")
        return found


def _limits(ordered_ms: NDArray[np.float64], independent: float, level: float) -> tuple[float, float]:
    queries = len(ordered_ms)
    told = int(independent * (ndtri(1 - level) / stdtrit(BATCHES - 1, 1 - level)) ** 2)
    lower, upper = quantile_ranks(told, PERCENTILE, level)
    return (
        float(ordered_ms[lower * queries // told - 1]) if lower >= 1 else -math.inf,
        float(ordered_ms[-(-upper * queries // told) - 1]) if upper <= told else math.inf,
    )


def _known(limits: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(value if math.isfinite(value) else None for value in limits.tolist())


def quantile_ranks(n: int, q: float, level: float) -> tuple[int, int]:
    """Ranks (1-based) of the lower and upper limit of a quantile; 0 or n + 1 where there is none."""
    spread = REACH * math.sqrt(n * q * (1 - q)) + REACH_COUNTS
    first = max(0, math.floor(n * q - spread))
    counts = np.arange(first, min(n, math.ceil(n * q + spread)) + 1)
    below = bdtr(counts, n, q)
    lower = first + int(np.searchsorted(below, level, side="right"))
    upper = first + int(np.searchsorted(below, 1 - level, side="left")) + 1
    return lower, upper
