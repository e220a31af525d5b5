"""The one console that results are printed on."""

from __future__ import annotations

import sys

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 120


def stdout_console() -> Console:
    """A console on stdout: as wide as the terminal, or a fixed width for logs and pipes."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)
