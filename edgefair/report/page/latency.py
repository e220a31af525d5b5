"""How long queries took: on one device as curves, on those of a pool beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgefair.measure.latency import LatencySummary
from edgefair.probe.bundles.gates import LATENCY
from edgefair.report.charts.curves import Curve, curves
from edgefair.report.charts.forest import Row, forest
from edgefair.report.page.parts import Block, Chart, Listing, More, Table
from edgefair.report.pool import HEAD, pool_lines
from edgefair.report.results.verification import TargetResult
from edgefair.report.terminal.timing import device_line

MOST_DRAWN = 20


def latency(target: TargetResult) -> Iterator[Block]:
    """How long queries took, with the compressed model and with the one before."""
    if target.latency is None:
        yield Listing([f"not measured on {device_line(target.device)}"])
        return
    models = [
        ("compressed", "candidate", target.latency),
        ("before compression", "reference", target.reference_latency),
    ]
    measured = [(name, paint, summary) for name, paint, summary in models if summary is not None]
    asked, device = _asked(target), _device(target)
    if all(summary.quantiles is not None for _, _, summary in measured):
        yield from _distributions(measured, asked, device)
    else:
        rows = [_row(name, paint, summary) for name, paint, summary in measured]
        caption = f"Latency on {device}: median (dot) to 99th percentile"
        yield Chart(forest(caption, rows, threshold=asked, unit=" ms"), caption)
    speed = target.speed_up
    if speed is not None:
        said = f"{speed.ratio:.2f} times as fast as before compression"
        yield Listing([f"{said} ({speed.lower:.2f} to {speed.upper:.2f})"])


def _distributions(
    measured: Sequence[tuple[str, str, LatencySummary]], asked: float | None, device: str
) -> Iterator[Block]:
    """What share of the queries was answered within which time: as curves, and as a table."""
    drawn, columns = [], []
    for name, paint, summary in measured:
        if summary.quantiles is not None:
            points = list(zip(summary.quantiles.ms, summary.quantiles.shares, strict=True))
            marked = None if summary.p90_ms is None else (summary.p90_ms, 0.9)
            drawn.append(Curve(name, points, marked, paint, _percentiles(summary), dashed=paint == "reference"))
            columns.append(dict(zip(summary.quantiles.shares, summary.quantiles.ms, strict=True)))
    budget = "" if asked is None else f"the p90 may be {asked:g} ms"
    caption = f"Share of the queries answered within a time on {device}, the p90 as a dot{budget and f'; {budget}'}"
    yield Chart(curves(caption, drawn, threshold=asked, said=budget, unit=" ms"), caption)
    shares = sorted({share for column in columns for share in column})
    rows = [
        [f"{share:.0%}", *(f"{column[share]:.4g}" if share in column else "" for column in columns)] for share in shares
    ]
    head = ["share of the queries", *(f"{curve.name}, ms" for curve in drawn)]
    yield More("All numbers", [Table("Time within which queries were answered", head, rows, frozenset([1, 2]))])


def _row(name: str, paint: str, latency: LatencySummary) -> Row:
    highest = latency.p99_ms or latency.p90_ms
    return Row(name, latency.p50_ms, latency.p50_ms, highest, paint, _percentiles(latency))


def _percentiles(latency: LatencySummary) -> str:
    parts = (("p50", latency.p50_ms), ("p90", latency.p90_ms), ("p99", latency.p99_ms))
    return ", ".join(f"{name} {'?' if value is None else f'{value:.4g}'}" for name, value in parts)


def pool(target: TargetResult) -> Iterator[Block]:
    """The devices of a pool, drawn and as a table; nothing where the target is one device."""
    lines = pool_lines(target)
    drawn = [_row(line.name, "candidate", line.latency) for line in lines[:MOST_DRAWN] if line.latency is not None]
    if drawn:
        asked = _asked(target)
        budget = "" if asked is None else f"; dashed: the p90 may be {asked:g} ms"
        caption = f"Latency of {len(drawn)} of {len(lines)} devices: median (dot) to 99th percentile{budget}"
        yield Chart(forest(caption, drawn, threshold=asked, unit=" ms"), caption)
    if lines:
        rows = [[line.name, *line.numbers, line.remarks] for line in lines]
        yield Table("Devices of the pool", HEAD, rows, frozenset(range(1, 7)))


def _asked(target: TargetResult) -> float | None:
    """The p90 that the policy or the target allows."""
    return next((gate.threshold for gate in target.verdict.gates if gate.id == LATENCY), None)


def _device(target: TargetResult) -> str:
    """Whose clock it was."""
    lines = pool_lines(target)
    slowest = [f"'{line.name}', the slowest of {len(lines)} devices" for line in lines if line.slowest]
    return ", ".join([*slowest, device_line(target.device)])
