"""A picture as shapes, which becomes SVG in a page and pixels in a file: nothing is drawn twice.

Positions and sizes are in pixels from the upper left corner. A paint is a name of `PAINTS`, whose colour in a page
follows the reader's scheme, or `#rrggbb`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

# Colours on white; a page has others for dark schemes (page/templates/style.css).
PAINTS = {
    "ink": "#1e1e1e",
    "pale": "#707070",
    "grid": "#d8d8d8",
    "nothing": "#e4e4e4",
    "pass": "#1a7f37",
    "fail": "#c81e1e",
    "unsure": "#9a6700",
    "candidate": "#285ab4",
    "reference": "#707070",
    "white": "#ffffff",
    # The page behind a drawing: what is hollow has it.
    "page": "#ffffff",
    # Things beside each other, which have a letter each too.
    "series-1": "#0b5cad",
    "series-2": "#b3411a",
    "series-3": "#17724f",
    "series-4": "#8a3ea0",
    "series-5": "#7d5c00",
    "series-6": "#3d4a57",
}
FONT = 12


@dataclass(frozen=True)
class Rect:
    """A filled box. title: what a reader who points at it is told."""

    x: float
    y: float
    width: float
    height: float
    paint: str
    title: str = ""


@dataclass(frozen=True)
class Line:
    """A straight line."""

    x: float
    y: float
    to_x: float
    to_y: float
    paint: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True)
class Dot:
    """A circle: filled, or hollow. title: what a reader who points at it is told."""

    x: float
    y: float
    radius: float
    paint: str
    hollow: bool = False
    title: str = ""


@dataclass(frozen=True)
class Label:
    """A line of text; y is its baseline, or its lower end where it reads upwards."""

    x: float
    y: float
    text: str
    paint: str = "ink"
    size: int = FONT
    anchor: Literal["start", "middle", "end"] = "start"
    upwards: bool = False


Shape = Rect | Line | Dot | Label


@dataclass(frozen=True)
class Drawing:
    """A picture. title: what it shows, for whoever cannot see it."""

    title: str
    width: float
    height: float
    shapes: Sequence[Shape]


@functools.cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def text_width(text: str, size: int = FONT) -> float:
    """Pixels that a text takes in a file; a reader's own font takes about as many."""
    return float(_font(size).getlength(text))


def fitting(text: str, width: float, size: int = FONT) -> str:
    """The text, without its beginning where it is too long: names differ at their ends."""
    shown = text
    while text and text_width(shown, size) > width:
        text = text[1:]
        shown = f"…{text}"
    return shown
