"""Numbers as coloured squares: the same rows and columns in several panels beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgefair.report.charts.png import headline
from edgefair.report.escape import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]

WHITE, WORSE, BETTER = (255, 255, 255), (200, 30, 30), (40, 90, 180)
INK, PALE, NOTHING = (30, 30, 30), (150, 150, 150), (228, 228, 228)
# Pixels: around things, height of a square, its width with a number in it and without.
GAP, HIGH, WIDE, NARROW = 10, 20, 54, 14
MAX_ROWS, MAX_COLUMNS, NUMBERED_COLUMNS = 120, 60, 16
LABEL_WIDTH = 330


@dataclass(frozen=True)
class Panel:
    """One grid.

    Attributes:
        values: of every row, one per column; None is drawn as absent.
        form: format specification of a number, as `+.3f`.
    """

    title: str
    values: Sequence[Sequence[float | None]]
    form: str


def shade(value: float, largest: float) -> Colour:
    """White at zero, red above it, blue below it; full colour at the largest magnitude."""
    part = 0.0 if largest == 0 else max(-1.0, min(1.0, value / largest))
    full = WORSE if part > 0 else BETTER
    red, green, blue = (round(a + (b - a) * abs(part)) for a, b in zip(WHITE, full, strict=True))
    return red, green, blue


def heat_map(title: str, rows: Sequence[str], columns: Sequence[str], panels: Sequence[Panel]) -> Image:
    """The panels beside each other, each with a scale of its own: its largest magnitude has the full colour.

    Beyond 120 rows or 60 columns the picture says how many it leaves out.
    """
    from PIL import Image, ImageDraw, ImageFont

    font, small = ImageFont.load_default(size=12), ImageFont.load_default(size=10)
    shown_rows = [one_line(name) for name in rows[:MAX_ROWS]]
    shown_columns = [one_line(name) for name in columns[:MAX_COLUMNS]]
    numbered = len(shown_columns) <= NUMBERED_COLUMNS
    square = WIDE if numbered else NARROW
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    left = 2 * GAP + min(LABEL_WIDTH, max(round(pen.textlength(name, font=font)) for name in shown_rows))
    head = GAP + min(LABEL_WIDTH, max(round(pen.textlength(name, font=font)) for name in shown_columns))
    width = max(square * len(shown_columns), *(round(pen.textlength(item.title, font=font)) for item in panels))
    top = 3 * GAP + 2 * HIGH + head
    picture = Image.new(
        "RGB", (left + len(panels) * (width + 2 * GAP), top + HIGH * len(shown_rows) + GAP), (255, 255, 255)
    )
    pen = ImageDraw.Draw(picture)
    said = headline(title, ((len(rows), MAX_ROWS, "layers"), (len(columns), MAX_COLUMNS, "cells")))
    pen.text((GAP, GAP), said, fill=INK, font=font)
    for at, name in enumerate(shown_rows):
        pen.text((GAP, top + at * HIGH + 3), fitting(pen, font, name, left - 2 * GAP), fill=INK, font=font)
    for number, panel in enumerate(panels):
        x = left + number * (width + 2 * GAP)
        pen.text((x, 2 * GAP + HIGH), panel.title, fill=INK, font=font)
        for at, name in enumerate(shown_columns):
            upright = _upright(name, font, head)
            picture.paste(upright, (x + at * square + (square - upright.width) // 2, top - upright.height - 2))
        known = [abs(value) for row in panel.values for value in row if value is not None]
        largest = max(known, default=0.0)
        for row, values in enumerate(panel.values[:MAX_ROWS]):
            for column, value in enumerate(values[:MAX_COLUMNS]):
                corner = (x + column * square, top + row * HIGH)
                opposite = (corner[0] + square - 2, corner[1] + HIGH - 2)
                fill = NOTHING if value is None else shade(value, largest)
                pen.rectangle((*corner, *opposite), fill=fill)
                if numbered and value is not None:
                    text = format(value, panel.form)
                    text = text if text.strip("+-0.%") else "0"
                    place = (corner[0] + (square - pen.textlength(text, font=small)) / 2 - 1, corner[1] + 4)
                    pen.text(place, text, fill=WHITE if sum(fill) < 400 else INK, font=small)
    return picture


def fitting(pen: Any, font: Any, name: str, width: float) -> str:
    """The name, without its beginning where it is too long: layers differ at their ends."""
    text = name
    while name and pen.textlength(text, font=font) > width:
        name = name[1:]
        text = f"…{name}"
    return text


def _upright(name: str, font: Any, longest: int) -> Image:
    """A name that reads from below."""
    from PIL import Image, ImageDraw

    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    text = fitting(pen, font, name, longest)
    line = Image.new("RGB", (round(pen.textlength(text, font=font)) + 2, 15), (255, 255, 255))
    ImageDraw.Draw(line).text((1, 0), text, fill=INK, font=font)
    return line.rotate(90, expand=True)
