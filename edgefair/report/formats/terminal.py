"""Results as people read them: tables and words, in colour where the stream is a terminal."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TextIO

from edgefair.report.results.base import Result
from edgefair.report.terminal.console import console_on

# Type of a result -> the module that renders it.
VIEWS: Mapping[str, str] = {
    "Report": "edgefair.report.terminal.verification",
    "ComparisonReport": "edgefair.report.terminal.comparison",
    "Explanation": "edgefair.report.terminal.explanation",
    "Diagnosis": "edgefair.report.terminal.diagnosis",
    "Plan": "edgefair.report.terminal.plan",
    "AuditStatus": "edgefair.report.terminal.audit",
    "LabelPlan": "edgefair.report.terminal.label_plan",
    "Summary": "edgefair.report.terminal.data",
}


class Terminal:
    """Text as wide as the terminal, or of a fixed width elsewhere."""

    def write(self, result: Result, stream: TextIO) -> None:
        """Print the result."""
        view = importlib.import_module(VIEWS[type(result).__name__])
        console_on(stream).print(view.render(result))
