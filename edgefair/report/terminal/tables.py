"""The one look of tables."""

from __future__ import annotations

from rich.table import Table


def plain_table(title: str | None = None, *, show_header: bool = True) -> Table:
    """A table without lines, a space off the edge: names inside of it cannot pass for a line of the report."""
    title = None if title is None else f" {title}"
    return Table(title=title, title_justify="left", box=None, show_header=show_header)
