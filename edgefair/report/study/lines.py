"""Studies, a run of one, or what is foreseen of it, on a screen: its sentences."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from edgefair.report.results.studies import Foreseen, Studies, StudyRun


def render(report: StudyRun | Foreseen | Studies) -> RenderableType:
    """A line each."""
    return Group(*(Text(line) for line in report.lines))
