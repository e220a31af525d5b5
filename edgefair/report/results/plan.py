"""What a plan says of an audit set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from edgefair.report.results.base import read_fields

PLAN_SCHEMA = "edgefair.plan/2"
WANTED_POWER = 0.8


@dataclass(frozen=True)
class CellPlan:
    """Rows of one group with each label."""

    group: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class AttributePlan:
    """What the audit set holds of one attribute.

    Attributes:
        least_rows: rows below which a cell is not judged at all.
        lacking: cells below that, in words; with any of them the verdict can only be INCONCLUSIVE.
        smallest_threshold: about the least threshold that could pass if all groups had equal rates; None where a cell
            is empty, and where rows belong to subjects.
        chance: probability that a fair model's gap is shown to be within the threshold, of this attribute alone; None
            where a cell lacks rows.
    """

    attribute: str
    threshold: float
    least_rows: int
    cells: tuple[CellPlan, ...]
    lacking: tuple[str, ...]
    smallest_threshold: float | None
    chance: float | None


@dataclass(frozen=True)
class GatePlan:
    """What a gate does in the verdicts on a fair model, with the rows at hand.

    Attributes:
        gate: its id.
        chance: probability of PASS, before the exact test.
        binding: what decides most often where it does not pass: the name of a comparison, or why; None where it
            always passes.
    """

    gate: str
    chance: float
    binding: str | None


@dataclass(frozen=True)
class GapPlan:
    """The whole verdict, for models of one true gap.

    Attributes:
        gap: between the worse group and all others.
        chance: probability that the whole verdict is PASS, with the rows at hand.
        standard_error: of the simulation of `chance`.
        times_rows: how many times these rows, in their proportions, pass with a chance of 80 %; None where no multiple
            that was tried does.
        rows_per_cell: rows of the smallest cell for the same, joint groups of equal size; None likewise, and where
            rows belong to subjects.
    """

    gap: float
    chance: float
    standard_error: float
    times_rows: float | None
    rows_per_cell: int | None


@dataclass(frozen=True)
class Plan:
    """A plan for the whole verdict, for the assumed rates.

    Attributes:
        counted: what a cell's number counts: `rows`, or `subjects` where several rows belong to one.
        icc: assumed correlation of a subject's decisions; None where rows are independent.
        worse: attribute and group whose rates are worse where the true gap is not 0.
        attributes: what the set holds of each.
        gates: those of decisions that the policy asks for; none where a cell lacks rows.
        power: by true gap, 0 first.
        simulations: audits behind every chance.
        not_judged: sensitive columns of the data that the policy does not judge.
    """

    schema: ClassVar[str] = PLAN_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.plan"

    source: str
    rows: int
    counted: str
    labels: tuple[str, ...]
    assumed_tpr: float
    assumed_fpr: float
    flip_rate: float
    icc: float | None
    alpha: float
    worse: tuple[str, str]
    attributes: tuple[AttributePlan, ...]
    gates: tuple[GatePlan, ...]
    power: tuple[GapPlan, ...]
    simulations: int
    not_judged: tuple[str, ...] = ()

    @property
    def can_pass(self) -> bool:
        """Whether a perfectly fair model has an 80 % chance of PASS."""
        return self.power[0].chance >= WANTED_POWER

    @property
    def exit_code(self) -> int:
        """0 where a fair model passes with a chance of 80 %, 3 where INCONCLUSIVE is what to expect."""
        return 0 if self.can_pass else 3

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": PLAN_SCHEMA, "exit_code": self.exit_code, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            ValueError: not such a result.
        """
        return read_fields(cls, data)
