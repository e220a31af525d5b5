"""A drawing as pixels, for a PNG file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefair.report.charts.drawing import PAINTS, Dot, Drawing, Label, Line, Rect, _font, text_width

if TYPE_CHECKING:
    from PIL.Image import Image

# Letters of Pillow: left, middle or right, on the baseline.
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def picture(drawing: Drawing) -> Image:
    """The drawing on white."""
    from PIL import Image, ImageDraw

    made = Image.new("RGB", (round(drawing.width), round(drawing.height)), PAINTS["white"])
    pen = ImageDraw.Draw(made)
    for shape in drawing.shapes:
        fill = PAINTS.get(shape.paint, shape.paint)
        match shape:
            case Rect():
                pen.rectangle((shape.x, shape.y, shape.x + shape.width - 1, shape.y + shape.height - 1), fill=fill)
            case Line():
                pen.line((shape.x, shape.y, shape.to_x, shape.to_y), fill=fill, width=max(1, round(shape.width)))
            case Dot():
                corners = (
                    shape.x - shape.radius,
                    shape.y - shape.radius,
                    shape.x + shape.radius,
                    shape.y + shape.radius,
                )
                pen.ellipse(corners, fill=PAINTS["page"] if shape.hollow else fill, outline=fill, width=2)
            case Label(upwards=True):
                made.paste(
                    upright := _upright(shape, fill), (round(shape.x) - upright.width, round(shape.y) - upright.height)
                )
            case Label():
                pen.text(
                    (shape.x, shape.y), shape.text, fill=fill, font=_font(shape.size), anchor=ANCHORS[shape.anchor]
                )
    return made


def _upright(label: Label, fill: str) -> Image:
    """A text that reads from below."""
    from PIL import Image, ImageDraw

    line = Image.new("RGB", (round(text_width(label.text, label.size)) + 2, label.size + 3), PAINTS["white"])
    ImageDraw.Draw(line).text((1, 0), label.text, fill=fill, font=_font(label.size))
    return line.rotate(90, expand=True)
