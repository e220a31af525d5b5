"""A line on stderr, whatever names are in it."""

from __future__ import annotations

import click

from edgefair.report.escape import one_line


def say(*lines: str) -> None:
    """Print the lines; a line break or control character inside of one is shown and does nothing."""
    click.echo("\n".join(map(one_line, lines)), err=True)
