"""Sheets as one HTML file."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from edgefair._version import __version__
from edgefair.report.charts.drawing import PAINTS, Drawing
from edgefair.report.charts.svg import svg
from edgefair.report.escape import one_line
from edgefair.report.page.parts import Mark, Sheet


def document(sheets: Sequence[Sheet]) -> str:
    """The page: no script, nothing that is loaded, a policy that forbids both; pictures of rows are inside it.

    Args:
        sheets: one or more; with several the page begins with links to each.
    """
    with_rows = any(sheet.warning for sheet in sheets)
    styles = _styles() + (_file("rows.css") if with_rows else "")
    digest = base64.b64encode(hashlib.sha256(styles.encode()).digest()).decode()
    page = _environment().get_template("page.html")
    title = sheets[0].title if len(sheets) == 1 else f"edgefair: {len(sheets)} results"
    said = {"title": title, "version": __version__, "digest": digest, "with_rows": with_rows}
    return page.render(sheets=sheets, styles=Markup(styles), **said) + "\n"  # noqa: S704


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("edgefair.report.page"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"drawn": _drawn, "line": one_line, "code": _code, "is_mark": lambda cell: isinstance(cell, Mark)}
    return made


def _drawn(drawing: Drawing) -> Markup:
    return Markup(svg(drawing))  # noqa: S704 - svg escapes every text


def _code(text: str) -> Markup:
    """What stands between backticks as code."""
    parts = one_line(text).split("`")
    if len(parts) % 2 == 0:
        return escape(one_line(text))
    return Markup().join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


@functools.cache
def _styles() -> str:
    """The style sheet, with a class for every paint of a drawing."""
    paints = "".join(f".fill-{name}{{fill:var(--{name})}}.stroke-{name}{{stroke:var(--{name})}}" for name in PAINTS)
    colours = ":root{" + "".join(f"--{name}:{colour};" for name, colour in PAINTS.items()) + "}\n"
    return colours + _file("style.css") + paints


def _file(name: str) -> str:
    return resources.files("edgefair.report.page").joinpath("templates", name).read_text(encoding="utf-8")
