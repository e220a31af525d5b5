"""Counts as bars, one below the other; two kinds of them on both sides of zero, or a least number as a dashed line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgefair.report.charts.axis import GAP, ROW, WIDER, WIDTH, Axis, name_label, names_width
from edgefair.report.charts.drawing import Drawing, Label, Line, Rect, Shape, text_width
from edgefair.report.escape import one_line

ROOM = 1.05


@dataclass(frozen=True)
class Bar:
    """Attributes: right: drawn to the right of zero. left: to the left. said: behind the bar."""

    name: str
    right: int
    paint: str
    said: str
    left: int = 0
    left_paint: str = "fail"


def bars(title: str, rows: Sequence[Bar], *, least: int | None = None) -> Drawing:
    """A bar for each row."""
    names = [one_line(row.name) for row in rows]
    room = names_width(names)
    high = ROOM * max([*(row.right for row in rows), least or 0, 1])
    axis = Axis(room, -ROOM * max((row.left for row in rows), default=0), high)
    top, bottom = GAP, GAP + ROW * len(rows)
    shapes: list[Shape] = [*axis.shapes(top, bottom)]
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        y, zero = top + ROW * (number + 0.5), axis.x(0)
        shapes.append(name_label(name, y, room))
        shapes.append(Rect(zero, y - 6, axis.x(row.right) - zero, 12, row.paint, row.said))
        if row.left:
            shapes.append(Rect(axis.x(-row.left), y - 6, zero - axis.x(-row.left), 12, row.left_paint, row.said))
        shapes.append(Label(room + WIDTH + GAP, y + 4, row.said, "pale"))
    if least is not None:
        shapes.append(Line(axis.x(least), top - 4, axis.x(least), bottom, "ink", 1.5, dashed=True))
    right = WIDER * max((text_width(row.said) for row in rows), default=0.0)
    return Drawing(one_line(title), room + WIDTH + 3 * GAP + right, bottom + 2 * ROW, shapes)
