"""A line on stderr, whatever names are in it."""

from __future__ import annotations

from contextlib import suppress

import click

from edgefair.report.escape import one_line


def say(*lines: str) -> None:
    """Print the lines; a line break or control character inside of one is shown and does nothing.

    Where nobody can be told, the exit code must still be right: a stream that takes nothing is no error.
    """
    with suppress(OSError):
        click.echo("\n".join(map(one_line, lines)), err=True)
