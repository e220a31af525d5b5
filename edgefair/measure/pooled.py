"""What each device of a pool did and showed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from edgefair.measure.footprint import Footprint
from edgefair.measure.latency import LatencySummary
from edgefair.probe.bundles.gates import id_of, name_of

# Of times that are equal but for rounding.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class PoolDevice:
    """One device of the pool that a model was measured on.

    Attributes:
        rows: that it decided, of those that are judged.
        device: its fingerprint.
        latency, footprint: of the candidate there; None where they were not measured.
        not_measured: gate id -> why its evidence is lacking there.
    """

    name: str
    rows: int
    device: Mapping[str, Any]
    latency: LatencySummary | None
    footprint: Footprint | None
    not_measured: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "name": self.name,
            "rows": self.rows,
            "device": dict(self.device),
            "latency": None if self.latency is None else self.latency.to_json(),
            "footprint": None if self.footprint is None else self.footprint.to_json(),
            "not_measured": {name_of(gate): why for gate, why in self.not_measured},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: not such an object.
        """
        rows = data["rows"]
        if type(rows) is not int or rows < 0:
            raise ValueError(f"a device of a pool cannot have decided {rows!r} rows")
        return cls(
            name=str(data["name"]),
            rows=rows,
            device=dict(data["device"]),
            latency=None if data["latency"] is None else LatencySummary.from_json(data["latency"]),
            footprint=None if data["footprint"] is None else Footprint.from_json(data["footprint"]),
            not_measured=tuple((id_of(name), why) for name, why in dict(data["not_measured"]).items()),
        )


def check_names(names: Iterable[str]) -> None:
    """Refuse a pool in which two devices have one name (ValueError): they are judged by their names."""
    found = list(names)
    if len(set(found)) < len(found):
        raise ValueError(f"two devices of a pool have one name: {', '.join(found)}")


def said_of_worst(name: str, devices: int) -> str:
    """How the reason of a gate names the device of a pool that decided it."""
    return f"of '{name}', the worst of {devices} devices"


def said_of_loss(name: str, target: str, rows: int) -> str:
    """How the note about a device that was lost begins."""
    return f"'{name}', a device of target '{target}', was lost after {rows:,} rows"


def slowest_of(found: Sequence[LatencySummary | None]) -> tuple[LatencySummary | None, ...]:
    """Which latency may stand for devices: those that no p90 exceeds; that there is none where none was measured."""
    known = [item for item in found if item is not None]
    most = max((item.p90_ms for item in known if item.p90_ms is not None), default=0.0)
    slow = [item for item in known if item.p90_ms is None or item.p90_ms >= most * (1 - TOLERANCE)]
    return tuple(slow) or (None,)
