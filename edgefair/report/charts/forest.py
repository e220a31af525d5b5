"""Estimates with their limits, one below the other, and the threshold that they must keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgefair.report.charts.axis import GAP, ROW, WIDER, WIDTH, Axis, name_label, names_width
from edgefair.report.charts.drawing import Dot, Drawing, Label, Line, Rect, Shape, text_width
from edgefair.report.escape import one_line

ROOM = 1.05


@dataclass(frozen=True)
class Row:
    """One estimate. None is not drawn.

    Attributes:
        said: behind the interval, so that nothing rests on a colour.
    """

    name: str
    estimate: float | None
    lower: float | None
    upper: float | None
    paint: str
    said: str = ""


def forest(
    title: str, rows: Sequence[Row], *, threshold: float | None = None, high: float | None = None, unit: str = ""
) -> Drawing:
    """A row for each estimate: a dot, and a bar from limit to limit; the threshold as a dashed line.

    Args:
        high: end of the axis; default: as far as the limits and the threshold go.
        unit: behind the numbers of the axis.
    """
    names = [one_line(row.name) for row in rows]
    known = [value for row in rows for value in (row.estimate, row.lower, row.upper) if value is not None]
    end = high or ROOM * max([*known, threshold or 0.0], default=0.0) or 1.0
    room = names_width(names)
    axis = Axis(room, 0.0, end, unit)
    top, bottom = GAP, GAP + ROW * len(rows)
    shapes: list[Shape] = [*axis.shapes(top, bottom)]
    if threshold is not None:
        x = axis.x(threshold)
        shapes += [Line(x, top - 4, x, bottom, "ink", 1.5, dashed=True)]
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        y = top + ROW * (number + 0.5)
        shapes.append(name_label(name, y, room))
        if row.lower is not None and row.upper is not None:
            left, right = axis.x(row.lower), axis.x(row.upper)
            shapes.append(
                Rect(left, y - 2, max(right - left, 1.0), 4, row.paint, f"{row.lower:.4g} to {row.upper:.4g}")
            )
        if row.estimate is not None:
            shapes.append(Dot(axis.x(row.estimate), y, 4.5, row.paint))
        if row.said:
            shapes.append(Label(room + WIDTH + GAP, y + 4, row.said, row.paint))
    right = WIDER * max((text_width(row.said) for row in rows), default=0.0)
    return Drawing(one_line(title), room + WIDTH + 3 * GAP + right, bottom + 2 * ROW, shapes)
