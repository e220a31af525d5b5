"""An error as programs read it, where JSON or a format that can hold an error was asked for."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from edgefair.errors import EXIT_USAGE, EdgefairError

if TYPE_CHECKING:
    from edgefair.report.output import Output
    from edgefair.report.results.failure import Failure

# Whose errors a CI system shows as it would their verdicts.
JUDGING = frozenset(["export", "verify"])


def tell_failure(error: Exception, exit_code: int, arguments: Sequence[str]) -> None:
    """Write an error in the formats that the arguments ask for, and to the CI system.

    `--json` and `--format NAME` get it on stdout, `--format junit=FILE` of a command that judges in its file.

    Args:
        arguments: of the command line; they may be the error.
    """
    asked = list(formats_of(arguments))
    judging = bool(JUDGING & set(arguments))
    in_ci = judging and "--no-ci" not in arguments and not os.environ.get("EDGEFAIR_NO_CI")
    if not (asked or in_ci):
        return
    from edgefair.report.ci import surroundings
    from edgefair.report.formats.base import Item
    from edgefair.report.output import write_items

    item = Item(_failure(error, exit_code))
    # Whoever reads stdout may have gone; the exit code still tells.
    with suppress(EdgefairError, OSError):
        write_items([item], [output for output in _outputs(asked, files=judging) if _holds(output)])
    around = surroundings() if in_ci else None
    if around is not None:
        with suppress(OSError):
            around.write(item, sys.stderr, saved=None)


def _outputs(asked: Sequence[str], *, files: bool) -> Iterable[Output]:
    """Where the formats go; files that may not be written, or may be the error, are left as they are."""
    from edgefair.probe.bundles.consistency import REPORT_SCHEMA
    from edgefair.report.output import Output, outputs_of

    on_stdout = [Output(item) for item in dict.fromkeys(asked) if "=" not in item][:1]
    if not files:
        return on_stdout
    try:
        return [*on_stdout, *(item for item in outputs_of(asked, schemas=[REPORT_SCHEMA]) if item.path is not None)]
    except EdgefairError:
        return on_stdout


def _holds(output: Output) -> bool:
    """Whether an error is written there. A JSON file may be the last result that there is."""
    from edgefair.report.formats import FORMATS
    from edgefair.report.results.failure import FAILURE_SCHEMA

    if output.format not in FORMATS or output.format == "terminal" or (output.format == "json" and output.path):
        return False
    return FORMATS[output.format].can_hold(FAILURE_SCHEMA)


def _failure(error: Exception, exit_code: int) -> Failure:
    from edgefair.report.results.failure import Failure

    if isinstance(error, EdgefairError):
        return Failure.of(error)
    said = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return Failure("UsageError" if exit_code == EXIT_USAGE else "InternalError", said, None, None, exit_code)


def formats_of(arguments: Sequence[str]) -> Iterator[str]:
    """What `--json` and `--format` ask for, also where the rest of the line cannot be parsed."""
    options = list(itertools.takewhile(lambda item: item != "--", arguments))
    if "--json" in options:
        yield "json"
    for one, following in itertools.pairwise([*options, ""]):
        if one == "--format" and following:
            yield following
        elif one.startswith("--format="):
            yield one.removeprefix("--format=")
