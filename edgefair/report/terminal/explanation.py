"""Which layer hurts whom: as a person reads it, and as a picture."""

from __future__ import annotations

from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefair.report.charts.heat_map import shade
from edgefair.report.charts.layers import shortened
from edgefair.report.results.explanation import Cells, Explanation, largest
from edgefair.report.terminal.tables import plain_table

SHOWN, MOST_CELLS = 40, 10
TIMES = "µs: time of the layer in a query, before and after compression, as far as the runtime tells it"


def render(report: Explanation) -> RenderableType:
    """The layers, their effect on every cell in colour, and what the columns mean."""
    low = report.precision
    parts: list[RenderableType] = [
        (
            f"model   {report.model}: {report.called}, {report.source}, at most {report.rows_per_cell:,} validation "
            f"rows of each cell, answered by {report.target}"
        )
    ]
    if report.compared is not None and report.difference is not None:
        parts.append(f"gap     {report.compared}: {report.difference:.3f} apart in {low} on these rows")
    parts += ["", _layers(report)]
    if len(report.cells) <= MOST_CELLS:
        parts += ["", _cells(report)]
    else:
        parts.append(f"the loss of {len(report.cells)} cells does not fit here; --plot draws it, --json lists it")
    if report.noticed("saturation"):
        parts += ["", _saturation(report)]
    if report.noticed("clipping"):
        parts += ["", _shares(report, "clipping", "inputs that the calibrated ranges cut off", "cut off")]
    if report.noticed("overflow"):
        parts += [
            "",
            _shares(
                report,
                "overflow",
                "outputs that FP16 cannot represent: infinite on devices that compute in FP16",
                "beyond 65504",
            ),
        ]
    if len(report.layers) > SHOWN:
        parts.append(f"{len(report.layers) - SHOWN} more layers are not shown; --json lists them")
    parts += ["", *_legend(report), *(f"note: {note}" for note in report.notes)]
    return Group(*parts)


def _layers(report: Explanation) -> Table:
    table = plain_table(f"layers, most harm by {report.precision} first")
    table.add_column("layer", overflow="fold", min_width=14)
    table.add_column("hurts most", overflow="fold", min_width=12)
    for name in ("its loss", "its flips", "alone", "worst group", "gap", "pruned"):
        table.add_column(name, justify="right", no_wrap=True)
    timed = _timed(report)
    if timed:
        table.add_column("µs", justify="right", no_wrap=True)
    table.add_column("weight", no_wrap=True, overflow="ellipsis")
    for item in report.layers[:SHOWN]:
        at = item.hurt
        pruned = None if item.pruned is None else max((v for v in item.pruned.loss if v is not None), default=None)
        table.add_row(
            item.node,
            "nobody" if at is None else report.cells[at].name,
            _signed(None if at is None else item.within.loss[at]),
            _percent(None if at is None else item.within.flips[at]),
            _signed(None if at is None else item.alone.loss[at]),
            _signed(item.within.worst_loss),
            _signed(item.within.gap),
            _signed(pruned),
            *([f"{_micro(item.reference_us)} > {_micro(item.low_us)}"] if timed else []),
            Text(shortened(item.weight), style="dim"),
        )
    return table


def _timed(report: Explanation) -> bool:
    return any(item.reference_us is not None or item.low_us is not None for item in report.layers)


def _micro(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


def _saturation(report: Explanation) -> Table:
    table = plain_table("saturation on x86 without VNNI; none elsewhere")
    for name in ("layer", "most in"):
        table.add_column(name, overflow="fold", min_width=14)
    for name in ("sums beyond 16 bits", "output lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in report.noticed("saturation"):
        at = largest(item.saturation or ())
        if at is not None and item.saturation is not None and item.saturation_error is not None:
            table.add_row(
                item.node,
                report.cells[at].name,
                _percent(item.saturation[at], 2),
                _percent(item.saturation_error[at]),
                style="red",
            )
    return table


def _shares(report: Explanation, values: Literal["clipping", "overflow"], title: str, column: str) -> Table:
    table = plain_table(title)
    for name in ("layer", "most in"):
        table.add_column(name, overflow="fold", min_width=14)
    for name in (column, "between groups"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in report.noticed(values):
        found: Cells = getattr(item, values) or ()
        at = largest(found)
        if at is not None:
            between = report.between_groups(found)
            difference = "?" if between is None else f"{between[0]:.2%} more in {between[1]}"
            table.add_row(item.node, report.cells[at].name, _percent(found[at], 2), difference, style="yellow")
    return table


def _cells(report: Explanation) -> Table:
    table = plain_table(f"growth of the loss by {report.precision}, cell by cell")
    table.add_column("layer", overflow="fold", min_width=12)
    for cell in report.cells:
        table.add_column(cell.name, justify="right", overflow="fold", min_width=7)
    known = [abs(value) for item in report.layers for value in item.within.loss if value is not None]
    top = max(known, default=0.0)
    for item in report.layers[:SHOWN]:
        squares = []
        for value in item.within.loss:
            text = _signed(value)
            if value is not None:
                red, green, blue = shade(value, top)
                ink = "white" if red + green + blue < 400 else "black"
                text.stylize(f"{ink} on rgb({red},{green},{blue})")
            squares.append(text)
        table.add_row(item.node, *squares)
    return table


def _legend(report: Explanation) -> list[RenderableType]:
    low = report.precision
    cure = report.unsaturated if report.noticed("saturation") else None
    return [
        (
            f"its loss, worst group: growth of the mean loss (nats) by {low} in this layer while all others are {low}; "
            "alone: while all others are float"
        ),
        "gap: growth of the compared rates' difference, smoothed: rows near the boundary count as far as they move",
        (
            f"pruned: largest growth of a cell's loss when the weakest {report.prune_share:.0%} of the output channels "
            "give zero, without any training after it"
        ),
        *([TIMES] if _timed(report) else []),
        *([] if cure is None else [f"sums beyond 16 bits: {cure} prevent them"]),
    ]


def _signed(value: float | None) -> Text:
    return Text("?" if value is None else f"{value:+.4f}")


def _percent(value: float | None, digits: int = 1) -> Text:
    return Text("?" if value is None else f"{value:.{digits}%}")
