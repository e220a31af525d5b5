"""Rows that compression decides otherwise: pictures and texts beside each other, features in a table."""

from __future__ import annotations

from collections.abc import Iterator

from edgefair.report.changed_rows import ChangedCell, ChangedRow, ChangedRows
from edgefair.report.numbers import shown
from edgefair.report.page import sentences
from edgefair.report.page.parts import Block, Cell, Exhibit, Gallery, Listing, Mark, Section, Table


def changed_rows(changed: ChangedRows, target: str, where: str = "") -> Section:
    """The rows of a target.

    Args:
        where: behind the heading, where there are several targets.
    """
    blocks: list[Block] = [_cell(cell) for cell in changed.by_target.get(target, ())]
    blocks += _left(changed.cells_left.get(target, 0)) if blocks else [Listing(["no decision was changed"])]
    heading = f"Rows that compression decides otherwise{where}"
    return Section(heading, sentences.CHANGED_ROWS.format(changed.of), blocks)


def _left(cells: int) -> Iterator[Block]:
    if cells:
        yield Listing([f"{cells:,} more cells have changed rows, in which fewer are broken"])


def _cell(cell: ChangedCell) -> Block:
    counted = ", ".join(f"{count:,} {change}" for change, count in cell.there_are.items() if count)
    caption = f"{cell.group}, label {cell.label}: {counted}; shown: {len(cell.rows):,}"
    if any(row.picture is not None or row.text is not None for row in cell.rows):
        return Gallery(caption, [_exhibit(row) for row in cell.rows])
    names = list(cell.rows[0].values)
    scored = any(row.score_before is not None or row.score_after is not None for row in cell.rows)
    rows: list[list[Cell]] = [
        [
            row.name, Mark(row.change), row.before, row.after,
            *([shown(row.score_before), shown(row.score_after)] if scored else []),
            *(row.values[name] for name in names),
        ]
        for row in cell.rows
    ]  # fmt: skip
    head = ["row", "change", "before", "after", *(["score before", "score after"] if scored else []), *names]
    return Table(caption, head, rows, frozenset([4, 5]) if scored else frozenset())


def _exhibit(row: ChangedRow) -> Exhibit:
    scores = [row.score_before, row.score_after]
    said = [f"decided '{row.before}' before, '{row.after}' now"]
    said += [f"score {' to '.join(map(shown, scores))}"] if scores != [None, None] else []
    said += [f"{name}: {value}" for name, value in row.values.items()]
    return Exhibit(row.name, Mark(row.change), said, row.picture, row.text)
