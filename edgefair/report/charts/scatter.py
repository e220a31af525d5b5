"""Things that cost something and are worth something, as points; the threshold of their worth as a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgefair.report.charts.axis import GAP, ROW, WIDER, WIDTH, Axis, Upright
from edgefair.report.charts.drawing import Dot, Drawing, Label, Line, Rect, Shape, text_width
from edgefair.report.escape import one_line

HEIGHT, LEFT, RADIUS = 220, 56, 5
KEPT, BROKEN = "pass", "fail"


@dataclass(frozen=True)
class Point:
    """One of them.

    Attributes:
        name: beside the point.
        kept: a dot; others are squares, so that nothing rests on a colour.
    """

    name: str
    x: float
    y: float
    kept: bool


def scatter(title: str, points: Sequence[Point], *, threshold: float, unit: str, key: tuple[str, str]) -> Drawing:
    """The points, the threshold as a dashed line from left to right, and below them what dots and squares are.

    Args:
        unit: behind the numbers of the horizontal axis.
        key: what dots and what squares are.
    """
    across = [point.x for point in points]
    low, high = min(across), max(across)
    room = 0.1 * (high - low) or 0.1 * high or 1.0
    bottom = GAP + HEIGHT
    axis = Axis(LEFT, max(0.0, low - room), high + room, unit)
    upright = Upright(GAP, bottom, 0.0, 1.1 * max([threshold, *(point.y for point in points)]) or 1.0)
    shapes: list[Shape] = [*axis.shapes(GAP, bottom), *upright.shapes(LEFT, LEFT + WIDTH)]
    y = upright.y(threshold)
    shapes.append(Line(LEFT, y, LEFT + WIDTH, y, "ink", 1.5, dashed=True))
    for point in points:
        x, y = axis.x(point.x), upright.y(point.y)
        shapes += _mark(x, y, kept=point.kept)
        # What is kept lies below the line that it must keep, and its name below it.
        shapes.append(Label(x + RADIUS + 3, y + (13 if point.kept else -3), one_line(point.name), size=11))
    below = bottom + 2 * ROW
    for number, kept in enumerate((True, False)):
        y = below + ROW * (number + 0.5)
        shapes += [*_mark(LEFT + RADIUS, y, kept=kept), Label(LEFT + 3 * RADIUS, y + 4, key[number])]
    right = WIDER * max(
        (axis.x(point.x) + text_width(one_line(point.name)) - LEFT - WIDTH for point in points), default=0
    )
    return Drawing(one_line(title), LEFT + WIDTH + 3 * GAP + max(0.0, right), below + 2.5 * ROW, shapes)


def _mark(x: float, y: float, *, kept: bool) -> Iterator[Shape]:
    if kept:
        yield Dot(x, y, RADIUS, KEPT)
    else:
        yield Rect(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS, BROKEN)
