"""Results as people read them: tables and words, in colour where the stream is a terminal."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TextIO

from edgefair.report.formats.base import Item
from edgefair.report.terminal.console import console_on


class Terminal:
    """Text as wide as the terminal, or of a fixed width elsewhere."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Print the results, each under the name of its file where there are several."""
        console = console_on(stream)
        for number, item in enumerate(items):
            if len(items) > 1:
                console.print(*([""] if number else []), item.named(""), sep="\n")
            console.print(importlib.import_module(item.result.view).render(item.result))
