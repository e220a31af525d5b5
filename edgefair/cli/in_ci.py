"""What the CI system is given beside what was asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from edgefair.cli.say import say
from edgefair.report.ci import repository, surroundings
from edgefair.report.formats.base import Item
from edgefair.report.output import Output
from edgefair.report.policy_lines import policy_lines
from edgefair.report.results.verification import Report


def tell_ci(report: Report, outputs: Sequence[Output], config: Path, *, saved: Path | None = None) -> None:
    """Give a verdict to the CI system that this runs in, if it is one that is known.

    What it does not take is said, and changes no exit code: the verdict is the same.

    Args:
        saved: where the report is as JSON, beside the outputs.
    """
    around = surroundings()
    if around is None:
        return
    files = [output.path for output in outputs if output.format == "json" and output.path is not None]
    sys.stdout.flush()
    try:
        item = Item(report, policy=policy_lines(config, repository()))
        around.write(item, sys.stderr, saved=next(iter(files), saved))
    except OSError as error:
        say(f"the CI system was not given the result: {error.strerror}: '{error.filename}'")
