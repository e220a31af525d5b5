"""Numbers as coloured squares: the same rows and columns in several panels beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgefair.report.charts.axis import ROUNDING, WIDER
from edgefair.report.charts.drawing import Drawing, Label, Rect, Shape, fitting, text_width
from edgefair.report.charts.png import headline
from edgefair.report.escape import one_line

Colour = tuple[int, int, int]

WHITE, WORSE, BETTER = (255, 255, 255), (200, 30, 30), (40, 90, 180)
INK = "#1e1e1e"
# Pixels: around things, height of a square, its width with a number in it and without.
GAP, HIGH, WIDE, NARROW = 10, 20, 54, 14
SMALL, FIRST, BASELINE = 10, 12, 14
MAX_ROWS, MAX_COLUMNS, NUMBERED_COLUMNS = 120, 60, 16
LABEL_WIDTH = 330


@dataclass(frozen=True)
class Panel:
    """One grid.

    Attributes:
        values: of every row, one per column; None is drawn as absent.
        form: format specification of a number, as `+.3f`.
        starred: which numbers have a star behind them, like `values`; empty for none.
        rising_is_good: whether it is blue above zero, and red below.
    """

    title: str
    values: Sequence[Sequence[float | None]]
    form: str
    starred: Sequence[Sequence[bool]] = ()
    rising_is_good: bool = False


def shade(value: float, largest: float) -> Colour:
    """White at zero, red above it, blue below it; full colour at the largest magnitude."""
    part = 0.0 if largest == 0 else max(-1.0, min(1.0, value / largest))
    full = WORSE if part > 0 else BETTER
    red, green, blue = (round(a + (b - a) * abs(part)) for a, b in zip(WHITE, full, strict=True))
    return red, green, blue


def heat_map(
    title: str, rows: Sequence[str], columns: Sequence[str], panels: Sequence[Panel],
    what: tuple[str, str] = ("layers", "cells"),
) -> Drawing:  # fmt: skip
    """The panels beside each other, each with a scale of its own: its largest magnitude has the full colour.

    Beyond 120 rows or 60 columns the drawing says how many it leaves out.

    Args:
        what: rows and columns are.
    """
    names = [one_line(name) for name in rows[:MAX_ROWS]]
    heads = [one_line(name) for name in columns[:MAX_COLUMNS]]
    square = WIDE if len(heads) <= NUMBERED_COLUMNS else NARROW
    left = 2 * GAP + WIDER * min(LABEL_WIDTH, max(map(text_width, names)))
    head = GAP + WIDER * min(LABEL_WIDTH, max(map(text_width, heads)))
    width = max(square * len(heads), *(WIDER * text_width(item.title) for item in panels))
    top = 3 * GAP + 2 * HIGH + head
    said = headline(title, ((len(rows), MAX_ROWS, what[0]), (len(columns), MAX_COLUMNS, what[1])))
    shapes: list[Shape] = [Label(GAP, GAP + FIRST, said)]
    shapes += [
        Label(GAP, top + at * HIGH + BASELINE, fitting(name, (left - 2 * GAP) / WIDER + ROUNDING))
        for at, name in enumerate(names)
    ]
    for number, panel in enumerate(panels):
        x = left + number * (width + 2 * GAP)
        shapes.append(Label(x, 2 * GAP + HIGH + FIRST, panel.title))
        shapes += [
            Label(x + at * square + square / 2 + 5, top - 3, fitting(name, head / WIDER), upwards=True)
            for at, name in enumerate(heads)
        ]
        shapes += _squares(panel, x, top, square)
    return Drawing(said, left + len(panels) * (width + 2 * GAP), top + HIGH * len(names) + GAP, shapes)


def _squares(panel: Panel, x: float, top: float, square: int) -> Iterator[Shape]:
    known = [abs(value) for row in panel.values for value in row if value is not None]
    largest = max(known, default=0.0)
    for row, values in enumerate(panel.values[:MAX_ROWS]):
        for column, value in enumerate(values[:MAX_COLUMNS]):
            left, upper = x + column * square, top + row * HIGH
            colour = None if value is None else shade(-value if panel.rising_is_good else value, largest)
            paint = "nothing" if colour is None else "#{:02x}{:02x}{:02x}".format(*colour)
            star = "*" if panel.starred and panel.starred[row][column] else ""
            text = "" if value is None else _text(value, panel.form) + star
            yield Rect(left, upper, square - 1, HIGH - 1, paint, text)
            if colour is not None and square == WIDE:
                ink = "#ffffff" if sum(colour) < 400 else INK
                yield Label(left + square / 2 - 1, upper + BASELINE, text, ink, SMALL, "middle")


def _text(value: float, form: str) -> str:
    text = format(value, form)
    return text if text.strip("+-0.%") else "0"
