"""A run of a study, or what is foreseen of one, on a screen: its sentences."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from edgefair.report.results.studies import Foreseen, StudyRun


def render(report: StudyRun | Foreseen) -> RenderableType:
    """A line each."""
    return Group(*(Text(line) for line in report.lines))
