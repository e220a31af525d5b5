"""What a long command is doing, on stderr: a bar for people, lines of stages and epochs in pipes and CI logs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from edgefair.cli.say import say
from edgefair.progress import Progress
from edgefair.workflow.training.launch import is_first_process


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """Progress that drives one bar, or prints stages where stderr is not a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield Progress(_Lines())
        return
    from rich import progress as rich

    from edgefair.report.escape import one_line
    from edgefair.report.terminal.console import PlainConsole

    columns = (rich.TextColumn("{task.description:<28}", markup=False), rich.BarColumn(), rich.TimeRemainingColumn())
    with rich.Progress(*columns, console=PlainConsole(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield Progress(
            lambda done, total, what: bar.update(task, completed=done, total=total, description=one_line(what))
        )


class _Lines:
    """One plain line for a stage or an epoch (`progress.Progress.stage`), by the first process of a launcher's."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, done: int, total: int, what: str) -> None:
        if done or total or what == self._last or not is_first_process():
            return
        self._last = what
        # A log that nobody reads any more is not a reason to stop.
        with contextlib.suppress(OSError):
            say(what)
