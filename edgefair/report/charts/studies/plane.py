"""Numbered points in a plane of two numbers, coloured by a third; a null line across each axis where it has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgefair.report.charts.axis import GAP, ROW, WIDER, Axis, Upright
from edgefair.report.charts.drawing import Dot, Drawing, Label, Line, Rect, Shape, text_width
from edgefair.report.charts.heat_map import shade
from edgefair.report.escape import one_line

WIDTH, HEIGHT, LEFT, RADIUS, SMALL = 700, 340, 56, 6, 11
ROOM = 0.08
# Points that lie nearer, across and up, are named together, so many of them by number.
NEAR, NAMED = (34.0, 12.0), 4


@dataclass(frozen=True)
class Spot:
    """One of them.

    Attributes:
        shade: from 0, white, to 1, full red.
        hollow: it is no good number.
    """

    x: float
    y: float
    said: str
    shade: float = 0.0
    hollow: bool = False


@dataclass(frozen=True)
class Named:
    """An axis: its name with its unit, and its null line."""

    name: str
    null: float | None = None


def plane(title: str, spots: Sequence[Spot], across: Named, up: Named) -> Drawing:
    """Points by their number from 1, which a table beside the drawing explains."""
    top, bottom = GAP + ROW, GAP + ROW + HEIGHT
    axis = Axis(LEFT, *_ends([spot.x for spot in spots], across.null), width=WIDTH)
    upright = Upright(top, bottom, *_ends([spot.y for spot in spots], up.null))
    right = LEFT + WIDTH
    shapes: list[Shape] = [*axis.shapes(top, bottom), *upright.shapes(LEFT, right)]
    shapes.append(Label(GAP, GAP + 8, one_line(up.name), "pale", SMALL))
    shapes.append(Label(right, bottom + 2 * ROW - 2, one_line(across.name), "pale", SMALL, "end"))
    if across.null is not None:
        shapes.append(Line(axis.x(across.null), top, axis.x(across.null), bottom, "ink", 1.5, dashed=True))
    if up.null is not None:
        shapes.append(Line(LEFT, upright.y(up.null), right, upright.y(up.null), "ink", 1.5, dashed=True))
    places = [(axis.x(spot.x), upright.y(spot.y)) for spot in spots]
    labels = list(_labels(places))
    # No line goes through a number.
    shapes += [Rect(label.x - 1, label.y - 10, WIDER * text_width(label.text, SMALL), 13, "page") for label in labels]
    for spot, (x, y) in zip(spots, places, strict=True):
        shapes.append(Dot(x, y, RADIUS, "ink", spot.hollow, one_line(spot.said)))
        if not spot.hollow:
            shapes.append(Dot(x, y, RADIUS - 1, "#{:02x}{:02x}{:02x}".format(*shade(spot.shade, 1.0))))
    ends = [label.x + text_width(label.text, SMALL) for label in labels]
    width = max([right, LEFT + text_width(one_line(up.name)), *ends]) + 2 * GAP
    return Drawing(one_line(title), width, bottom + 2 * ROW + GAP, [*shapes, *labels])


def _labels(places: Sequence[tuple[float, float]]) -> Iterator[Label]:
    """The numbers of the points, of those that lie together in one label."""
    groups: list[list[int]] = []
    for number, (x, y) in enumerate(places):
        group = next((group for group in groups for at in group
                      if abs(places[at][0] - x) < NEAR[0] and abs(places[at][1] - y) < NEAR[1]), None)  # fmt: skip
        if group is None:
            groups.append([number])
        else:
            group.append(number)
    for group in groups:
        said = ", ".join(str(number + 1) for number in group[:NAMED])
        said += f" and {len(group) - NAMED} more" if len(group) > NAMED else ""
        x = max(places[number][0] for number in group) + RADIUS + 3
        y = sum(places[number][1] for number in group) / len(group)
        yield Label(x, y + 4, said, "ink", SMALL)


def _ends(values: Sequence[float], null: float | None) -> tuple[float, float]:
    known = [*values, *([] if null is None else [null])]
    low, high = min(known), max(known)
    room = ROOM * (high - low) or abs(high) * ROOM or 1.0
    return low - room, high + room
