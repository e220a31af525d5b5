"""A line on stderr, whatever names are in it."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

import click

from edgefair.report.escape import one_line


def say(*lines: str) -> None:
    """Print the lines, if there are any; a line break or control character inside of one is shown and does nothing.

    Where nobody can be told, the exit code must still be right: a stream that takes nothing is not an error.
    """
    with suppress(OSError):
        click.echo("".join(f"{one_line(line)}\n" for line in lines), err=True, nl=False)


def say_next(config_path: Path, *commands: str) -> None:
    """Print which commands go on from here, each for the same config."""
    at = "" if config_path == Path("edgefair.yaml") else f" -c {shlex.quote(str(config_path))}"
    say("next: " + ", then ".join(f"edgefair {command}{at}" for command in commands))
