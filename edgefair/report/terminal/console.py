"""The one kind of console that results and progress are printed on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.protocol import rich_cast
from rich.segment import Segment
from rich.text import Span, Text

from edgefair.report.escape import one_line, shown_letters

WIDTH_WITHOUT_TERMINAL = 120
# Below that tables are columns of single letters.
NARROWEST = 40
WIDEST, HEIGHT = 1000, 25
# Of the lines that a long text goes on in: none of them can pass for a line of its own.
INDENT = 2


class PlainConsole(Console):
    """A console to which every text is what it says: no markup, no emoji codes, no control characters, one line.

    Names of groups, files and devices reach it in the strings and `Text`s of many tables; all of them pass here. A line
    break of the layout is a renderable of its own. Styles are given by `Text`, never inside a string.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as text; where it is measured, too."""
        return super().render_str(one_line(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that becomes visible, whatever it is inside of."""
        options = options or self.options
        renderable = rich_cast(renderable)
        if isinstance(renderable, str):
            renderable = self.render_str(renderable)
        if isinstance(renderable, Text) and options.max_width > 0:
            return _folded(_visible(renderable), self, options)
        return super().render(renderable, options)


def _visible(text: Text) -> Text:
    """The text on one line with its styles where they were."""
    plain = text.plain
    if one_line(plain) == plain:
        return text
    letters = shown_letters(plain)
    start = [0]
    for letter in letters:
        start.append(start[-1] + len(letter))
    found = text.blank_copy("".join(letters))
    found.spans = [Span(start[span.start], start[min(span.end, len(plain))], span.style) for span in text.spans]
    return found


def _folded(text: Text, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
    """The text in lines of the width, all but the first indented."""
    justify = text.justify or options.justify or "default"
    overflow = text.overflow or options.overflow or "fold"
    no_wrap = options.no_wrap if text.no_wrap is None else text.no_wrap
    width = options.max_width
    lines = text.wrap(console, width, justify=justify, overflow=overflow, no_wrap=no_wrap)
    if len(lines) > 1 and width > INDENT:
        lines = text.wrap(console, width - INDENT, justify=justify, overflow=overflow, no_wrap=no_wrap)
        for line in lines if justify == "right" else lines[1:]:
            line.pad_left(INDENT)
    return Text("\n").join(lines).render(console, end=text.end)


def console_on(stream: TextIO) -> PlainConsole:
    """A console on a stream: as wide as the terminal; in files, logs and pipes as `COLUMNS` says, or a fixed width."""
    if stream.isatty():
        return PlainConsole(file=stream)
    # Without a height rich asks the environment for both.
    return PlainConsole(file=stream, width=_columns(), height=HEIGHT)


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    if not (columns.isascii() and columns.isdigit() and int(columns)):
        return WIDTH_WITHOUT_TERMINAL
    return min(max(int(columns), NARROWEST), WIDEST)
