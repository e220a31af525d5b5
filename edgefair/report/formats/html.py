"""Results as one HTML file for people: no script, nothing that is loaded, light and dark, on paper too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from edgefair.report.formats.base import Item
from edgefair.report.page import others, verdict
from edgefair.report.page.document import document
from edgefair.report.page.parts import Sheet
from edgefair.report.results.study import StudyReport
from edgefair.report.results.verification import Report
from edgefair.report.study.sheet import sheet as study_sheet


class Html:
    """A page with a sheet for every result."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the page."""
        stream.write(document([_sheet(item) for item in items]))


def _sheet(item: Item) -> Sheet:
    if isinstance(item.result, Report):
        return verdict.sheet(item.result, item.named(item.result.model.path), item.changed)
    if isinstance(item.result, StudyReport):
        return study_sheet(item.result, item.named(f"Study {item.result.study}"))
    return others.sheet(item.result, item.named(item.result.schema.partition("/")[0].replace(".", " ")), item.changed)
