"""An error as programs read it, where JSON or a format that can hold an error was asked for."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefair.cli.say import say
from edgefair.errors import EXIT_USAGE, EdgefairError

if TYPE_CHECKING:
    from edgefair.report.results.failure import Failure

# Whose errors a CI system shows as it would their verdicts.
JUDGING = frozenset(["export", "verify"])


def tell_failure(error: Exception, exit_code: int, arguments: Sequence[str]) -> None:
    """Write an error in the formats that the arguments ask for, and to the CI system.

    `--json` and `--format NAME` get it on stdout, `--format junit=FILE` in its file. A JSON file of before stays as it
    is: it may be the last result that there is.

    Args:
        arguments: of the command line; they may be the error.
    """
    asked = [item.partition("=") for item in _formats(arguments)]
    in_ci = bool(JUDGING & set(arguments)) and "--no-ci" not in arguments and not os.environ.get("EDGEFAIR_NO_CI")
    if not (asked or in_ci):
        return
    from edgefair.report.ci import surroundings
    from edgefair.report.formats import FORMATS
    from edgefair.report.formats.base import Item
    from edgefair.report.output import Output, write_items
    from edgefair.report.results.failure import FAILURE_SCHEMA

    item = Item(_failure(error, exit_code))
    for name, _, file in asked:
        holds = name in FORMATS and name != "terminal" and FORMATS[name].can_hold(FAILURE_SCHEMA)
        if holds and not (name == "json" and file):
            try:
                write_items([item], [Output(name, Path(file) if file else None)])
            except EdgefairError as failed:
                say(*failed.lines)
            except OSError:
                # Whoever reads stdout has gone; the exit code still tells.
                return
    around = surroundings() if in_ci else None
    if around is not None:
        with suppress(OSError):
            around.write(item, sys.stderr, saved=None)


def _failure(error: Exception, exit_code: int) -> Failure:
    from edgefair.report.results.failure import Failure

    if isinstance(error, EdgefairError):
        return Failure.of(error)
    said = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return Failure("UsageError" if exit_code == EXIT_USAGE else "InternalError", said, None, None, exit_code)


def _formats(arguments: Sequence[str]) -> Iterator[str]:
    """What `--json` and `--format` ask for, also where the rest of the line cannot be parsed."""
    options = list(itertools.takewhile(lambda item: item != "--", arguments))
    if "--json" in options:
        yield "json"
    for one, following in itertools.pairwise([*options, ""]):
        if one == "--format" and following:
            yield following
        elif one.startswith("--format="):
            yield one.removeprefix("--format=")
