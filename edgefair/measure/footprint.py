"""What a model costs a device beside its queries."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from edgefair.measure.ladder import quantile_ranks


@dataclass(frozen=True)
class Footprint:
    """Time to load a model, and the memory that it takes; what the device does not tell is None.

    Attributes:
        load_ms: of every load, milliseconds from the file to a session that is ready; one at least.
        load_bytes: memory of the process at its peak while it was loaded first, beyond that of before.
        peak_bytes: the same until after the first queries, of one row each.
    """

    load_ms: tuple[float, ...]
    load_bytes: int | None
    peak_bytes: int | None

    @property
    def median_load_ms(self) -> float:
        """Half of the loads take no longer."""
        return statistics.median(self.load_ms)

    @property
    def of_later_loads(self) -> Footprint | None:
        """Without the first load, which a runtime's library is loaded with too, and without memory, which holds that
        library and not what the model takes elsewhere; None where there was no later one."""
        return Footprint(self.load_ms[1:], None, None) if len(self.load_ms) > 1 else None

    def load_limits(self, level: float) -> tuple[float, float]:
        """Limits of the median that each miss with probability `level` at most, (-inf, inf) for too few loads.

        Order statistics with binomial ranks, as of the p90 (Hahn & Meeker, Statistical Intervals, 1991, section 5.2):
        of n loads, all of them lie on one side of the median with probability 2^-n.
        """
        ordered, n = sorted(self.load_ms), len(self.load_ms)
        lower, upper = quantile_ranks(n, 0.5, level)
        return ordered[lower - 1] if lower >= 1 else -math.inf, ordered[upper - 1] if upper <= n else math.inf

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"load_ms": list(self.load_ms), "load_bytes": self.load_bytes, "peak_bytes": self.peak_bytes}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: not such an object, or a number that cannot be.
        """
        loads = tuple(float(value) for value in data["load_ms"])
        if not loads or not all(0 < value < math.inf for value in loads):
            raise ValueError(f"impossible times of loading: {loads}")
        return cls(loads, *(_bytes(data[name]) for name in ("load_bytes", "peak_bytes")))


def worst_of(found: Sequence[Footprint | None]) -> Footprint | None:
    """The slowest loads and the most memory of several devices; None where one was not measured, or there is none."""
    known = [item for item in found if item is not None]
    if not known or len(known) < len(found):
        return None
    slowest = max(known, key=lambda item: item.median_load_ms)
    loads, peaks = ([getattr(item, name) for item in known] for name in ("load_bytes", "peak_bytes"))
    return Footprint(slowest.load_ms, *(None if None in values else max(values) for values in (loads, peaks)))


def _bytes(value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value < 1 << 62):
        raise ValueError(f"impossible bytes: {value!r}")
    return value
