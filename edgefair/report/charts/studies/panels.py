"""Drawings beside each other as one: small multiples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgefair.report.charts.axis import GAP
from edgefair.report.charts.drawing import Drawing, Line, Shape

# As wide as a page.
WIDEST = 960


def beside(title: str, drawings: Sequence[Drawing]) -> Drawing:
    """The drawings from left to right, in a new row where the page is not wide enough."""
    shapes: list[Shape] = []
    left = top = width = high = 0.0
    for drawing in drawings:
        if left and left + drawing.width > WIDEST:
            left, top, high = 0.0, top + high + GAP, 0.0
        shapes += [_moved(shape, left, top) for shape in drawing.shapes]
        left += drawing.width
        width, high = max(width, left), max(high, drawing.height)
    return Drawing(title, width, top + high, shapes)


def _moved(shape: Shape, right: float, down: float) -> Shape:
    moved = replace(shape, x=shape.x + right, y=shape.y + down)
    return replace(moved, to_x=moved.to_x + right, to_y=moved.to_y + down) if isinstance(moved, Line) else moved
