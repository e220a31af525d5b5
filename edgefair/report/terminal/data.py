"""A data set as a person reads it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefair.joint import join
from edgefair.report.results.data import Cells, Summary
from edgefair.report.terminal.cells import cell_table
from edgefair.report.terminal.tables import plain_table

SHOWN = 60


def render(summary: Summary) -> RenderableType:
    """The features; then a table per split and attribute: rows and base rate of every group and label."""
    parts: list[RenderableType] = [f"data    {summary.source}: {len(summary.features)} features", _features(summary)]
    if len(summary.features) > SHOWN:
        parts.append(f"{len(summary.features) - SHOWN} more features are not shown; --json lists them")
    for split, cells in summary.cells.items():
        parts += ["", Text(f"{split}: {summary.rows[split]:,} rows", style="bold")]
        parts += [_table(item) for item in cells]
    if summary.skipped:
        parts += ["", *(Text(f"left out: {item}", style="yellow") for item in summary.skipped)]
    if summary.poorer:
        parts += ["", *(Text(item, style="yellow") for item in summary.poorer)]
    return Group(*parts)


def _features(summary: Summary) -> Table:
    table = plain_table()
    table.add_column("feature", overflow="fold", min_width=10)
    table.add_column("kind")
    table.add_column("missing", justify="right")
    table.add_column("different values", justify="right")
    table.add_column("", overflow="fold")
    for item in summary.features[:SHOWN]:
        missing = f"{item.missing / item.rows:.2%}" if item.missing else ""
        distinct = "" if item.distinct is None else f"{item.distinct:,}"
        table.add_row(item.name, item.kind, missing, distinct, Text(item.remark, style="yellow"))
    return table


def _table(cells: Cells) -> Table:
    groups = zip(cells.groups, cells.counts.tolist(), strict=True)
    return cell_table(join(cells.attributes), cells.classes, groups, shares=True)
