"""What was measured, as far as a verdict depends on it."""

from __future__ import annotations

from dataclasses import dataclass

from edgefair.measure.clusters import Design
from edgefair.measure.counts import GroupCounts
from edgefair.measure.latency import LatencySummary
from edgefair.measure.paired import PairedCounts


@dataclass(frozen=True)
class Evidence:
    """The measurement of one model on one device.

    Attributes:
        counts: decisions of the candidate by group and label.
        paired: decisions of reference and candidate on the same rows, where there is a reference.
        latency: of the candidate; None where it was not measured.
        size_bytes: of the model file; None where it is not known.
        design: effective sample sizes, where rows belong to subjects; None for independent rows.
        not_measured: gate name -> why its evidence is lacking, in words.
    """

    counts: GroupCounts
    paired: PairedCounts | None = None
    latency: LatencySummary | None = None
    size_bytes: int | None = None
    design: Design | None = None
    not_measured: tuple[tuple[str, str], ...] = ()

    def why_missing(self, gate: str, default: str) -> str:
        """Why the evidence of a gate is lacking."""
        return dict(self.not_measured).get(gate, default)
