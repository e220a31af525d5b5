"""Lines over a number, with a dashed line that is asked about and an upright one where the study stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgefair.report.charts.axis import GAP, ROW, WIDTH, Axis, Upright
from edgefair.report.charts.drawing import Drawing, Label, Line, Shape
from edgefair.report.charts.studies.series import key, mark, paint_of
from edgefair.report.escape import one_line

HEIGHT, LEFT = 240, 56
# Of a curve that begins far above what is asked about, so many times that are shown.
SHOWN = 5.0


@dataclass(frozen=True)
class Track:
    """One line: points in ascending order."""

    name: str
    points: Sequence[tuple[float, float]]


def against(
    title: str, tracks: Sequence[Track], *, axis: tuple[str, str], asked: float, at: float, said: tuple[str, str]
) -> Drawing:
    """The lines, as far as they lie below five times what is asked or what they are where the study stands.

    Args:
        axis: names of the upright and of the other axis.
        asked: on the upright axis. at: on the other one. said: what both are.
    """
    here = [value for track in tracks for x, value in track.points if x == at]
    high = max([SHOWN * asked, *(1.2 * value for value in here)])
    ends = [x for track in tracks for x, _ in track.points]
    top, bottom = GAP + ROW, GAP + ROW + HEIGHT
    along = Axis(LEFT, min(ends), max(ends))
    upright = Upright(top, bottom, 0.0, high)
    shapes: list[Shape] = [Label(GAP, GAP + 8, axis[0], "pale", 11), *along.shapes(top, bottom)]
    shapes += upright.shapes(LEFT, LEFT + WIDTH)
    shapes.append(Label(LEFT + WIDTH, bottom + 2 * ROW - 4, axis[1], "pale", 11, "end"))
    y, x = upright.y(asked), along.x(at)
    shapes += [Line(LEFT, y, LEFT + WIDTH, y, "ink", 1.5, dashed=True), Line(x, top, x, bottom, "ink", 1.5)]
    shapes += [Label(LEFT + WIDTH - 4, y - 5, said[0], "ink", 11, "end"), Label(x + 5, top + 12, said[1], "ink", 11)]
    for number, track in enumerate(tracks):
        for (one, value), (other, following) in pairwise(track.points):
            if value <= high:
                ends_at = along.x(one), upright.y(value), along.x(other), upright.y(following)
                shapes.append(Line(*ends_at, paint_of(number), 2.0))
        inside = [point for point in track.points if point[1] <= high]
        where = min(inside, key=lambda point: abs(point[0] - at), default=None)
        if where is not None:
            shapes += mark(along.x(where[0]), upright.y(where[1]), number)
    keyed, wide, tall = key([track.name for track in tracks], LEFT, bottom + 2 * ROW + GAP, WIDTH)
    shapes += keyed
    return Drawing(one_line(title), max(LEFT + WIDTH, LEFT + wide) + 3 * GAP, bottom + 2 * ROW + 2 * GAP + tall, shapes)
