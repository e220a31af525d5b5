"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgefair.report.escape import markdown


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table, whatever is in its cells, and the line that ends it."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(map(markdown, row))} |" for row in rows)
    yield ""
