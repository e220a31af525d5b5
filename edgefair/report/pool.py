"""The devices of a pool as people are shown them: the slowest first, and what each of them decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgefair.measure.footprint import Footprint
from edgefair.measure.latency import LatencySummary
from edgefair.measure.pooled import PoolDevice, said_of_worst
from edgefair.probe.bundles.gates import LATENCY
from edgefair.report.numbers import shown
from edgefair.report.results.verification import TargetResult
from edgefair.report.titles import title_of

# Devices that fit on a screen beside the rest of a result; a page and JSON have all.
MOST = 8
HEAD = ("device", "rows", "p50, ms", "p90, ms", "p99, ms", "load time, ms", "peak memory, MB", "remarks")
MB = 1e6


@dataclass(frozen=True)
class PoolLine:
    """One device.

    Attributes:
        rows: that it decided.
        latency, footprint: of the candidate there; None where they were not measured.
        slowest: whether its clock stands for the pool's.
        gates: titles of those that it is the worst device of.
        not_timed: why there is no latency; empty where there is one.
    """

    name: str
    rows: int
    latency: LatencySummary | None
    footprint: Footprint | None
    slowest: bool
    gates: tuple[str, ...]
    not_timed: str

    @property
    def remarks(self) -> str:
        """What of the pool it stands for, or why it was not timed; empty where it is nothing."""
        decides = [f"decides {' and '.join(self.gates)}"] * bool(self.gates)
        return "; ".join([*["the slowest"] * self.slowest, *decides, *[self.not_timed] * bool(self.not_timed)])

    @property
    def numbers(self) -> tuple[str, ...]:
        """What `HEAD` names between the device and the remarks; `?` for what was not measured."""
        clock, cost = self.latency, self.footprint
        times = [None, None, None] if clock is None else [clock.p50_ms, clock.p90_ms, clock.p99_ms]
        peak = None if cost is None or cost.peak_bytes is None else cost.peak_bytes / MB
        costs = (None if cost is None else cost.median_load_ms, peak)
        return (f"{self.rows:,}", *map(shown, times), *map(shown, costs))


def pool_lines(target: TargetResult) -> tuple[PoolLine, ...]:
    """The devices of a pool, by their p90; none where the target is one device."""
    devices = [PoolDevice.from_json(item) for item in target.evidence.get("pool", ())]
    slowest = next((item.name for item in devices if item.latency and item.latency == target.latency), None)
    found = [
        PoolLine(
            name=item.name,
            rows=item.rows,
            latency=item.latency,
            footprint=item.footprint,
            slowest=item.name == slowest,
            gates=_gates(item.name, target),
            not_timed=dict(item.not_measured).get(LATENCY, "") if item.latency is None else "",
        )
        for item in devices
    ]
    return tuple(sorted(found, key=_p90, reverse=True))


def _p90(line: PoolLine) -> float:
    known = None if line.latency is None else line.latency.p90_ms
    return -1.0 if known is None else known


def _gates(name: str, target: TargetResult) -> tuple[str, ...]:
    said = said_of_worst(name, len(target.evidence["pool"]))
    return tuple(title_of(gate.id) for gate in target.verdict.gates if said in gate.reason)


def left_out(lines: Sequence[PoolLine]) -> str:
    """How many are not among the first, in words; empty where all are."""
    left = len(lines) - MOST
    return "" if left <= 0 else f"{left:,} more devices, none of them slower"
