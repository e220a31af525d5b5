"""Samples of every (group, label) cell as one picture: what the numbers of `data describe` look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgefair.report.charts.png import headline
from edgefair.report.escape import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_GROUPS, MAX_LABELS = 40, 12
# Pixels: around and between things, and the height of a line of text.
GAP, LINE = 6, 16
INK, PALE = (30, 30, 30), (150, 150, 150)


@dataclass(frozen=True, eq=False)
class SheetCell:
    """One cell.

    Attributes:
        count: rows of the cell.
        pictures: some of them, uint8 [height, width, 3 or 1] each.
    """

    group: str
    label: str
    count: int
    pictures: tuple[NDArray[np.uint8], ...]


def contact_sheet(cells: Sequence[SheetCell], *, title: str, side: int = 64, columns: int = 6) -> Image:
    """A grid of groups (rows) by labels (columns), with the number of rows above the samples of each cell.

    An empty cell says so: who is missing matters most. Beyond 40 groups or 12 labels the sheet says how many it leaves
    out.

    Args:
        side: height and width of a sample, in pixels.
        columns: samples of a cell beside each other.
    """
    from PIL import Image, ImageDraw, ImageFont

    groups = list(dict.fromkeys(cell.group for cell in cells))
    labels = list(dict.fromkeys(cell.label for cell in cells))
    by_place = {(cell.group, cell.label): cell for cell in cells}
    shown_groups, shown_labels = groups[:MAX_GROUPS], labels[:MAX_LABELS]
    deepest = max((len(cell.pictures) for cell in cells), default=0)
    wide = columns * (side + 2) + GAP
    high = LINE + max(1, -(-deepest // columns)) * (side + 2) + GAP
    sheet = Image.new("RGB", (GAP + wide * len(shown_labels), 2 * GAP + 2 * LINE + high * len(shown_groups)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    said = headline(title, ((len(groups), MAX_GROUPS, "groups"), (len(labels), MAX_LABELS, "labels")))
    pen.text((GAP, GAP), said, fill=INK, font=font)
    for row, group in enumerate(shown_groups):
        for column, label in enumerate(shown_labels):
            cell = by_place.get((group, label), SheetCell(group, label, 0, ()))
            left, top = GAP + column * wide, 2 * GAP + LINE + row * high
            caption = _fitting(pen, font, one_line(f"{group} / {label}"), f", n = {cell.count:,}", wide - GAP)
            pen.text((left, top), caption, fill=INK, font=font)
            if not cell.count:
                pen.text((left, top + LINE), "no rows", fill=PALE, font=font)
            for index, pixels in enumerate(cell.pictures):
                place = (left + index % columns * (side + 2), top + LINE + index // columns * (side + 2))
                sheet.paste(_thumbnail(pixels, side), place)
    return sheet


def _fitting(pen: Any, font: Any, name: str, end: str, width: int) -> str:
    """The name, shortened where it is too long, and its end."""
    text = name + end
    while name and pen.textlength(text, font=font) > width:
        name = name[:-1]
        text = f"{name}…{end}"
    return text


def _thumbnail(pixels: NDArray[np.uint8], side: int) -> Image:
    from PIL import Image

    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).resize((side, side))
