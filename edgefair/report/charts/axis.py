"""A horizontal axis with its ticks, and what charts of rows have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgefair.report.charts.drawing import FONT, Label, Line, Shape, fitting, text_width

ROW, GAP, WIDTH, NAME_WIDTH = 22, 10, 480, 280
# The fonts of readers are up to this much wider than the one that is measured with.
WIDER = 1.2
TICKS = 5
# Pixels: a name whose own width is its room fits.
ROUNDING = 0.01


@dataclass(frozen=True)
class Axis:
    """From zero, or from below it, to a largest value.

    Attributes:
        left: where it begins, in pixels.
        low, high: values at its ends.
        unit: behind the number of a tick.
        width: in pixels.
    """

    left: float
    low: float
    high: float
    unit: str = ""
    width: float = WIDTH

    def x(self, value: float) -> float:
        """Where a value lies; beyond an end, at the end."""
        part = (value - self.low) / (self.high - self.low)
        return self.left + self.width * min(max(part, 0.0), 1.0)

    def shapes(self, top: float, bottom: float) -> Iterator[Shape]:
        """Grid lines from top to bottom, and the numbers below them."""
        step = _nice((self.high - self.low) / TICKS)
        digits = max(0, -math.floor(math.log10(step)))
        for number in range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1):
            x = self.x(number * step)
            yield Line(x, top, x, bottom, "grid")
            yield Label(x, bottom + FONT + 3, f"{number * step:,.{digits}f}{self.unit}", "pale", 11, "middle")


@dataclass(frozen=True)
class Upright:
    """An axis upwards.

    Attributes:
        top, bottom: where it ends and begins, in pixels.
        low, high: values at its lower and upper end.
        percent: whether they are shares.
    """

    top: float
    bottom: float
    low: float
    high: float
    percent: bool = False

    def y(self, value: float) -> float:
        """Where a value lies; beyond an end, at the end."""
        part = (value - self.low) / (self.high - self.low)
        return self.bottom - (self.bottom - self.top) * min(max(part, 0.0), 1.0)

    def shapes(self, left: float, right: float) -> Iterator[Shape]:
        """Grid lines from left to right, and the numbers before them."""
        step = _nice((self.high - self.low) / TICKS)
        digits = max(0, -math.floor(math.log10(step)) - (2 if self.percent else 0))
        for number in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1):
            value = number * step
            yield Line(left, self.y(value), right, self.y(value), "grid")
            said = f"{value:.{digits}%}" if self.percent else f"{value:,.{digits}f}"
            yield Label(left - 6, self.y(value) + 4, said, "pale", 11, "end")


def names_width(names: Sequence[str], most: float = NAME_WIDTH) -> float:
    """Room for the names of rows, with a gap on both sides."""
    return 2 * GAP + WIDER * min(most, max(map(text_width, names), default=0.0))


def name_label(name: str, y: float, room: float) -> Label:
    """The name of a row whose middle is at y."""
    return Label(GAP, y + 4, fitting(name, (room - 2 * GAP) / WIDER + ROUNDING))


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    if step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return float(next(times * power for times in (1, 2, 5, 10) if times * power >= step * (1 - 1e-9)))
