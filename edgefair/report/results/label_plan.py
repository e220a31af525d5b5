"""What `plan --label-budget` chose."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

LABEL_PLAN_SCHEMA = "edgefair.label-plan/1"


@dataclass(frozen=True)
class PlannedStratum:
    """Rows of one group that the model decides alike, with scores in one range.

    Attributes:
        scores: smallest and largest probability of the decided class; None where the model gives none.
        chosen: rows that are to be labelled.
    """

    group: str
    decision: str
    scores: tuple[float, float] | None
    rows: int
    chosen: int


@dataclass(frozen=True)
class LabelPlan:
    """The rows that were chosen, and what to do with them.

    Attributes:
        source: where the audit rows come from.
        rows: audit rows.
        chosen: how many of them are to be labelled.
        model: path of the model that scored them.
        to_label, design: files that were written.
        lacking: cells that will probably have fewer labelled rows than the policy needs, in words.
    """

    schema: ClassVar[str] = LABEL_PLAN_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.label_plan"

    source: str
    rows: int
    chosen: int
    model: str
    to_label: str
    design: str
    strata: tuple[PlannedStratum, ...]
    lacking: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """3 where INCONCLUSIVE is what to expect."""
        return 3 if self.lacking else 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": LABEL_PLAN_SCHEMA, "exit_code": self.exit_code, **asdict(self)}
