"""An error as a person reads it, where it is shown again as the result of a command."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from edgefair.report.results.failure import Failure


def render(failure: Failure) -> RenderableType:
    """What was found, what was expected, and the fix."""
    first, *more = failure.lines
    return Group(Text.assemble(("ERROR ", "bold red"), f"no verdict: {first}"), *more)
