"""Series beside each other: a paint and a letter for each, and the key that says what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgefair.report.charts.axis import GAP, ROW, WIDER
from edgefair.report.charts.drawing import Dot, Label, Shape, text_width
from edgefair.report.escape import one_line

PAINTED = 6
RADIUS, LETTER = 7, 10


def paint_of(number: int) -> str:
    """The paint of a series; from the seventh on, only letters are different."""
    return f"series-{number % PAINTED + 1}"


def letter_of(number: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    letters = ""
    number += 1
    while number:
        number, at = divmod(number - 1, 26)
        letters = chr(ord("A") + at) + letters
    return letters


def mark(x: float, y: float, number: int, *, hollow: bool = False, title: str = "") -> Iterator[Shape]:
    """The letter of a series in its circle."""
    paint = paint_of(number)
    yield Dot(x, y, RADIUS, paint, hollow, title)
    yield Label(x, y + 3.5, letter_of(number), paint if hollow else "page", LETTER, "middle")


def key(names: Sequence[str], left: float, top: float, width: float) -> tuple[list[Shape], float, float]:
    """What each series is, in as many columns as fit beside each other.

    Returns:
        Shapes, the width that they take, and their height.
    """
    shown = [one_line(name) for name in names]
    column = 2 * RADIUS + 2 * GAP + WIDER * max(map(text_width, shown), default=0.0)
    columns = max(1, int(width // column))
    shapes: list[Shape] = []
    for number, name in enumerate(shown):
        x, y = left + column * (number % columns), top + ROW * (number // columns + 0.5)
        shapes += [*mark(x + RADIUS, y, number), Label(x + 2 * RADIUS + GAP, y + 4, name)]
    return shapes, column * min(columns, max(len(shown), 1)), ROW * -(-len(shown) // columns)
