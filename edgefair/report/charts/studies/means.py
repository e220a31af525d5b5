"""Means with their intervals over levels side by side: a series each, the control as a band, zero as a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgefair.report.charts.axis import GAP, ROW, WIDER, Upright
from edgefair.report.charts.drawing import Drawing, Label, Line, Rect, Shape, fitting, text_width
from edgefair.report.charts.studies.series import RADIUS, key, mark, paint_of
from edgefair.report.escape import one_line

HEIGHT, LEFT, STEP = 240, 56, 18
# Beyond this width the names of levels are written upwards.
WIDEST, LONGEST_NAME = 840, 210
ROOM = 0.06


@dataclass(frozen=True)
class Point:
    """Attributes: level: position of its level. hollow: it is no good number. joined: with the series' last one."""

    level: int
    value: float
    lower: float | None = None
    upper: float | None = None
    hollow: bool = False
    joined: bool = False


@dataclass(frozen=True)
class Series:
    """One of them, in the order of the levels."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Band:
    """Attributes: said: what lies between the limits."""

    lower: float
    upper: float
    said: str


def means(
    title: str, levels: Sequence[str], series: Sequence[Series], *, axis: str, null: float | None = None,
    band: Band | None = None,
) -> Drawing:  # fmt: skip
    """Levels from left to right.

    Args:
        axis: what is measured, with its unit.
        null: a dashed line, and part of the axis.
        band: a broad stripe.
    """
    names = [one_line(name) for name in levels]
    inner = STEP * len(series) + STEP
    across = max([inner, *(WIDER * text_width(name) + GAP for name in names)])
    upwards = across * len(names) > WIDEST
    column = inner if upwards else across
    right = LEFT + column * len(names)
    top, bottom = GAP + ROW, GAP + ROW + HEIGHT
    upright = _upright(series, top, bottom, null, band)
    shapes: list[Shape] = [Label(GAP, GAP + 8, one_line(axis), "pale", 11)]
    if band is not None:
        high, low = upright.y(band.upper), upright.y(band.lower)
        shapes.append(Rect(LEFT, high, right - LEFT, max(low - high, 2.0), "nothing", one_line(band.said)))
    shapes += upright.shapes(LEFT, right)
    if null is not None:
        shapes.append(Line(LEFT, upright.y(null), right, upright.y(null), "ink", 1.5, dashed=True))
    for number, item in enumerate(series):
        places = [LEFT + column * (point.level + 0.5) + STEP * (number - (len(series) - 1) / 2)
                  for point in item.points]  # fmt: skip
        shapes += _drawn(item, number, places, upright)
    below = bottom + (min(LONGEST_NAME, max(WIDER * text_width(name) for name in names)) + GAP if upwards else ROW)
    for at, name in enumerate(names):
        middle = LEFT + column * (at + 0.5)
        if upwards:
            shapes.append(Label(middle + 4, below, fitting(name, LONGEST_NAME / WIDER), upwards=True))
        else:
            shapes.append(Label(middle, bottom + 16, name, anchor="middle"))
    keyed, wide, high = key([item.name for item in series], LEFT, below + GAP, max(right - LEFT, 480))
    shapes += keyed
    end = below + GAP + high
    if band is not None:
        shapes += [Rect(LEFT, end + 6, 2 * RADIUS, 10, "nothing"), Label(LEFT + 2 * RADIUS + GAP, end + 15, band.said)]
        wide = max(wide, 2 * RADIUS + 2 * GAP + WIDER * text_width(band.said))
        end += ROW
    return Drawing(one_line(title), max(right, LEFT + wide) + GAP, end + GAP, shapes)


def _upright(series: Sequence[Series], top: float, bottom: float, null: float | None, band: Band | None) -> Upright:
    values = [value for item in series for point in item.points
              for value in (point.value, point.lower, point.upper) if value is not None]  # fmt: skip
    values += [] if null is None else [null]
    values += [] if band is None else [band.lower, band.upper]
    low, high = min(values), max(values)
    room = ROOM * (high - low) or 1.0
    return Upright(top, bottom, low - room, high + room)


def _drawn(item: Series, number: int, places: Sequence[float], upright: Upright) -> Iterator[Shape]:
    paint = paint_of(number)
    for at, point in enumerate(item.points):
        if point.joined and at:
            before = item.points[at - 1]
            yield Line(places[at - 1], upright.y(before.value), places[at], upright.y(point.value), paint, 1.5)
    for x, point in zip(places, item.points, strict=True):
        said = f"{one_line(item.name)}: {point.value:.2f}"
        if point.lower is not None and point.upper is not None:
            yield Line(x, upright.y(point.lower), x, upright.y(point.upper), paint, 2.0)
            said += f" [{point.lower:.2f}, {point.upper:.2f}]"
        yield from mark(x, upright.y(point.value), number, hollow=point.hollow, title=said)
