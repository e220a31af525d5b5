"""`--timings` of every command: where its time went, on stderr when it has ended, however it ended."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence

import click

import edgefair
from edgefair.cli.failures import formats_of
from edgefair.cli.say import say
from edgefair.progress.timings import OTHER, Stage, recorded

TIMINGS_SCHEMA = "edgefair.timings/1"
FLAG = "--timings"
# Deeper stages are in the JSON.
DEPTH = 4
# Stages below this share of the whole are in the JSON.
LEAST = 0.002


def with_timings(command: click.Command) -> click.Command:
    """The command, all commands of a group too, with the flag; who reads it is `timings_of`."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            with_timings(inner)
    elif all(FLAG not in item.opts for item in command.params):
        command.params.append(
            click.Option(
                [FLAG],
                is_flag=True,
                expose_value=False,
                help="Say on stderr where the time went, at the end; with --json as one line of JSON.",
            )
        )
    return command


@contextlib.contextmanager
def timings_of(arguments: Sequence[str], *, whole_process: bool) -> Iterator[None]:
    """Say where the time of this block went, if the arguments ask for it, also where it raises.

    Args:
        arguments: of the command line; they may be an error.
        whole_process: whether the time begins with the imports of this package, and not now.
    """
    if FLAG not in itertools.takewhile(lambda item: item != "--", arguments):
        yield
        return
    told: Stage | None = None
    now = time.perf_counter()
    try:
        with recorded("all", since=edgefair._began if whole_process else None) as told:
            if whole_process:
                told.part("start-up").end(now - edgefair._began)
            yield
    finally:
        if told is not None:
            _say(told, as_json="json" in formats_of(arguments))


def _say(told: Stage, *, as_json: bool) -> None:
    from edgefair.workflow.training.launch import is_first_process

    if not is_first_process():
        return
    if as_json:
        say(json.dumps({"schema": TIMINGS_SCHEMA, **told.to_json()}))
    else:
        say(*lines_of(told))


def lines_of(told: Stage) -> Iterator[str]:
    """A line for the whole and one for every stage below it: seconds, share of the whole, passes."""
    yield f"where the time went: {told.seconds:.2f} s"
    yield from _parts(told, told.seconds, depth=1)


def _parts(stage: Stage, whole: float, *, depth: int) -> Iterator[str]:
    """The parts that are large enough, and all the rest as one line, so that the lines add up."""
    told = [part for part in stage.parts.values() if part.seconds >= LEAST * whole]
    for part in told:
        yield _line(part.name, part.seconds, whole, depth, part.passes)
        if depth < DEPTH and any(item.seconds >= LEAST * whole for item in part.parts.values()):
            yield from _parts(part, whole, depth=depth + 1)
    rest = stage.other + sum(part.seconds for part in stage.parts.values() if part.seconds < LEAST * whole)
    yield _line(OTHER, rest, whole, depth, 1)


def _line(name: str, seconds: float, whole: float, depth: int, passes: int) -> str:
    times = f"  {passes:,} times" if passes > 1 else ""
    share = seconds / whole if whole else 0.0
    return f"{'  ' * depth + name:<44}{seconds:>9.2f} s {share:>6.1%}{times}"
