"""Rows of groups by label, as a person reads them: of many labels the ones with the fewest rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from edgefair.report.terminal.tables import plain_table

# Labels whose columns fit beside each other, and those that are named where more do not.
WIDE, NAMED = 5, 3


def cell_table(
    head: str,
    labels: Sequence[str],
    groups: Iterable[tuple[str, Sequence[int]]],
    *,
    title: str | None = None,
    shares: bool = False,
) -> Table:
    """A line a group.

    Args:
        groups: name, and rows with each label.
        shares: whether to say which share of its group every cell is.
    """
    table = plain_table(title)
    table.add_column(head, overflow="fold", min_width=10)
    if len(labels) > WIDE:
        table.add_column("rows", justify="right")
        table.add_column(f"of {len(labels):,} labels those with the fewest", overflow="fold")
        for name, rows in groups:
            fewest = sorted(range(len(labels)), key=lambda index, rows=rows: rows[index])[:NAMED]  # type: ignore[misc]
            said = ", ".join(f"{labels[index]}: {rows[index]:,}" for index in fewest)
            table.add_row(name, f"{sum(rows):,}", said)
        return table
    for label in labels:
        table.add_column(f"label {label}", justify="right")
        if shares:
            table.add_column("share", justify="right")
    for name, rows in groups:
        total = max(sum(rows), 1)
        entries = [(f"{n:,}", f"{n / total:.2%}") if shares else (f"{n:,}",) for n in rows]
        table.add_row(name, *(text for entry in entries for text in entry))
    return table
