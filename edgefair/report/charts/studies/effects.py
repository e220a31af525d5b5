"""Effects about a null line, one below the other: each an estimate with its interval, or the dots of its seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgefair.report.charts.axis import GAP, ROW, WIDER, Axis, name_label, names_width
from edgefair.report.charts.drawing import Dot, Drawing, Label, Line, Rect, Shape, text_width
from edgefair.report.escape import one_line

ROOM = 0.05
# Names of contrasts are long, and a page is so wide.
NAMES, ALL, LEAST = 420, 940, 260


@dataclass(frozen=True)
class Effect:
    """One of them. None is not drawn.

    Attributes:
        dots: of each seed.
        null: its own null, as a tick; None where that of all holds.
        said: behind it, so that nothing rests on a colour.
    """

    name: str
    estimate: float | None
    lower: float | None
    upper: float | None
    paint: str
    said: str
    dots: Sequence[float] = ()
    null: float | None = None


def effects(
    title: str, rows: Sequence[Effect], *, unit: str, null: float | None = 0.0,
    bounds: tuple[float, float] | None = None,
) -> Drawing:  # fmt: skip
    """A row for each effect.

    Args:
        unit: behind the numbers of the axis.
        null: a dashed line; None where every row has its own.
        bounds: a stripe about the null that effects are asked about.
    """
    names = [one_line(row.name) for row in rows]
    room = names_width(names, NAMES)
    behind = WIDER * max((text_width(row.said) for row in rows), default=0.0)
    width = max(LEAST, ALL - room - behind - 3 * GAP)
    known = [value for row in rows for value in (row.estimate, row.lower, row.upper, row.null, *row.dots)
             if value is not None]  # fmt: skip
    known += [] if null is None else [null]
    known += list(bounds or ())
    low, high = min(known, default=0.0), max(known, default=1.0)
    space = ROOM * (high - low) or 1.0
    axis = Axis(room, low - space, high + space, unit, width)
    top, bottom = GAP, GAP + ROW * len(rows)
    shapes: list[Shape] = []
    if bounds is not None:
        left, right = map(axis.x, bounds)
        shapes.append(Rect(left, top, right - left, bottom - top, "nothing"))
    shapes += axis.shapes(top, bottom)
    if null is not None:
        shapes.append(Line(axis.x(null), top - 4, axis.x(null), bottom, "ink", 1.5, dashed=True))
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        y = top + ROW * (number + 0.5)
        shapes.append(name_label(name, y, room))
        if row.lower is not None and row.upper is not None:
            left, right = axis.x(row.lower), axis.x(row.upper)
            told = f"{row.lower:.2f} to {row.upper:.2f}"
            shapes.append(Rect(left, y - 2, max(right - left, 1.0), 4, row.paint, told))
        shapes += [Dot(axis.x(value), y, 3.5, row.paint, hollow=True) for value in row.dots if math.isfinite(value)]
        if row.estimate is not None:
            x = axis.x(row.estimate)
            # Among the dots of seeds the mean is an upright stroke.
            shapes.append(Line(x, y - 8, x, y + 8, row.paint, 2.5) if row.dots else Dot(x, y, 4.5, row.paint))
        if row.null is not None:
            shapes.append(Line(axis.x(row.null), y - 8, axis.x(row.null), y + 8, "ink", 1.5))
        shapes.append(Label(room + width + GAP, y + 4, row.said, row.paint))
    return Drawing(one_line(title), room + width + 3 * GAP + behind, bottom + 2 * ROW, shapes)
