"""The JSON that shields.io draws a badge from (https://shields.io/badges/endpoint-badge)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TextIO

from edgefair.decision.verdict import Outcome
from edgefair.report.formats.base import Item
from edgefair.report.numbers import shown
from edgefair.report.results.verification import Report

COLOUR = {Outcome.PASS: "brightgreen", Outcome.FAIL: "red", Outcome.INCONCLUSIVE: "orange"}


class Badge:
    """The verdict, and of a PASS what the gap is shown to be at most."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the object."""
        report = items[0].report
        badge = {
            "schemaVersion": 1,
            "label": "equalized odds",
            "message": _message(report),
            "color": COLOUR[report.outcome],
            "isError": report.outcome is not Outcome.PASS,
        }
        stream.write(json.dumps(badge, indent=1) + "\n")


def _message(report: Report) -> str:
    upper = [target.verdict.gate("eo_gap").upper for target in report.targets]
    known = [value for value in upper if value is not None]
    if report.outcome is not Outcome.PASS or len(known) < len(upper):
        return str(report.outcome)
    # Where a waiver lets a comparison through, the limit is beyond the threshold, and is what was shown.
    said = f"PASS: gap at most {shown(max(known))}"
    return said if report.decisions is None else f"{said}, not attested"
