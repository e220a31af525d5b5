"""A drawing as SVG inside a page: text stays text, and colours are the page's."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from edgefair.report.charts.drawing import PAINTS, Dot, Drawing, Label, Line, Rect, Shape
from edgefair.report.escape import one_line


def svg(drawing: Drawing) -> str:
    """An `<svg>` element as wide as its place, with the drawing's title for readers of the page aloud."""
    head = (
        f'<svg viewBox="0 0 {_n(drawing.width)} {_n(drawing.height)}" width="{_n(drawing.width)}" '
        f'height="{_n(drawing.height)}" role="img" aria-label={quoteattr(one_line(drawing.title))}>'
    )
    return head + "".join(map(_element, drawing.shapes)) + "</svg>"


def _element(shape: Shape) -> str:
    match shape:
        case Rect():
            inner = f"<title>{escape(shape.title)}</title>" if shape.title else ""
            return (
                f'<rect x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}" '
                f"{_paint(shape.paint, 'fill')}>{inner}</rect>"
            )
        case Line():
            dashes = ' stroke-dasharray="4 3"' if shape.dashed else ""
            return (
                f'<line x1="{_n(shape.x)}" y1="{_n(shape.y)}" x2="{_n(shape.to_x)}" y2="{_n(shape.to_y)}" '
                f'stroke-width="{_n(shape.width)}" {_paint(shape.paint, "stroke")}{dashes}/>'
            )
        case Dot():
            inner = f"<title>{escape(shape.title)}</title>" if shape.title else ""
            classes = f"fill-page stroke-{shape.paint}" if shape.hollow else f"fill-{shape.paint}"
            painted = f'class="{classes}"' if shape.paint in PAINTS else f'fill="{shape.paint}"'
            wide = ' stroke-width="2"' if shape.hollow else ""
            start = f'<circle cx="{_n(shape.x)}" cy="{_n(shape.y)}" r="{_n(shape.radius)}" {painted}{wide}'
            return f"{start}>{inner}</circle>" if inner else f"{start}/>"
        case Label():
            turned = f' transform="rotate(-90 {_n(shape.x)} {_n(shape.y)})"' if shape.upwards else ""
            return (
                f'<text x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{shape.size}" text-anchor="{shape.anchor}" '
                f"{_paint(shape.paint, 'fill')}{turned}>{escape(shape.text)}</text>"
            )


def _paint(paint: str, of: str) -> str:
    return f'class="{of}-{paint}"' if paint in PAINTS else f'{of}="{paint}"'


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
