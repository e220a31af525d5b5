"""Labels that look wrong, as a person reads of them."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from edgefair.joint import join
from edgefair.report.results.cleaning import NO_PROOF, Cleaning
from edgefair.report.terminal.tables import plain_table


def render(report: Cleaning) -> RenderableType:
    """A line a group and label, the most suspicious in front."""
    table = plain_table()
    table.add_column(join(report.attributes), overflow="fold", min_width=8)
    table.add_column("label", overflow="fold")
    for name in ("rows", "suspicious", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for cell in report.cells:
        table.add_row(cell.group, cell.label, f"{cell.rows:,}", f"{cell.suspicious:,}", f"{cell.share:.2%}")
    found = f"{len(report.suspicious):,} of {report.rows:,} training rows have a suspicious label"
    return Group(
        f"data    {report.source}: {found}, by networks trained on {report.folds - 1} of {report.folds} folds",
        Text(NO_PROOF, style="bold yellow"),
        "",
        table,
    )
