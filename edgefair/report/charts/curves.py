"""Shares that grow along an axis: what part of all lies at or below a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgefair.report.charts.axis import GAP, ROW, WIDER, WIDTH, Axis, Upright
from edgefair.report.charts.drawing import Dot, Drawing, Label, Line, Shape, text_width
from edgefair.report.escape import one_line

HEIGHT, LEFT, KEY = 200, 56, 26
# A threshold that lies further out than so many times the largest value would squeeze the curves.
FURTHEST = 3.0


@dataclass(frozen=True)
class Curve:
    """One of them.

    Attributes:
        points: (value, share), ascending.
        marked: a point that is marked with a dot; None without one.
        said: beside the name.
    """

    name: str
    points: Sequence[tuple[float, float]]
    marked: tuple[float, float] | None
    paint: str
    said: str
    dashed: bool = False


def curves(
    title: str, rows: Sequence[Curve], *, threshold: float | None = None, said: str = "", unit: str = ""
) -> Drawing:
    """The curves over one axis, the threshold as an upright line, and below them what each is.

    Args:
        threshold: not drawn where it lies far beyond all values.
        said: what the threshold is.
        unit: behind the numbers of the axis.
    """
    values = [value for row in rows for value, _ in row.points]
    largest = max(values)
    drawn = threshold if threshold is not None and threshold <= FURTHEST * largest else None
    low, high = min(values), max(largest, drawn or 0.0)
    room = 0.06 * (high - low) or 0.1 * high or 1.0
    axis = Axis(LEFT, max(0.0, low - room), high + room, unit)
    bottom = GAP + HEIGHT
    share = Upright(GAP, bottom, 0.0, 1.0, percent=True)
    shapes: list[Shape] = [*axis.shapes(GAP, bottom), *share.shapes(LEFT, LEFT + WIDTH)]
    key = bottom + 2.5 * ROW
    for number, row in enumerate(rows):
        shapes += _drawn(row, axis, share, key + ROW * number)
    told = [_said(row) for row in rows]
    if drawn is not None:
        y = key + ROW * len(rows)
        shapes += [
            Line(axis.x(drawn), GAP - 4, axis.x(drawn), bottom, "ink", 1.5),
            Line(LEFT, y, LEFT + KEY, y, "ink", 1.5),
        ]
        shapes.append(Label(LEFT + KEY + GAP, y + 4, one_line(said)))
        told.append(one_line(said))
    width = max(LEFT + WIDTH + 3 * GAP, LEFT + KEY + 2 * GAP + WIDER * max(map(text_width, told)))
    return Drawing(one_line(title), width, key + ROW * len(told), shapes)


def _drawn(row: Curve, axis: Axis, upright: Upright, key: float) -> Iterator[Shape]:
    for (value, share), (next_value, next_share) in pairwise(row.points):
        x, y, to_x, to_y = axis.x(value), upright.y(share), axis.x(next_value), upright.y(next_share)
        yield Line(x, y, to_x, to_y, row.paint, 2.0, row.dashed)
    if row.marked is not None:
        yield Dot(axis.x(row.marked[0]), upright.y(row.marked[1]), 4.5, row.paint)
    yield Line(LEFT, key, LEFT + KEY, key, row.paint, 2.0, row.dashed)
    yield Label(LEFT + KEY + GAP, key + 4, _said(row))


def _said(row: Curve) -> str:
    return one_line(f"{row.name}: {row.said}")
