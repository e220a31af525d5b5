"""Two models beside each other: what the second one changed, and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

from edgefair.decision.compare import excess_losses, judge_paired, judge_unpaired
from edgefair.decision.family import FamilyResult
from edgefair.decision.policy import Policy
from edgefair.decision.summary import summarize
from edgefair.decision.verdict import Comparison, Outcome
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design
from edgefair.measure.flips import CellFlips, cell_flips
from edgefair.measure.paired import PairedCounts
from edgefair.report.results.base import read_fields
from edgefair.report.results.earlier import comparison_fields, flip_fields

COMPARE_SCHEMA = "edgefair.compare/1"


@dataclass(frozen=True)
class GapChange:
    """The gap of one attribute before and after; None where a cell has no rows."""

    attribute: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class ComparisonReport:
    """What changes from `before` to `after`.

    Attributes:
        paired: whether both decided the same rows; otherwise differences are those of independent samples.
        why_unpaired: in words; empty where paired.
        increase, lower, upper: largest change of a difference between groups, with limits; |gap after - gap before| is
            at most `upper` at confidence 1 - alpha.
        threshold: of the increase; None where none was given, and the outcome then is None too.
        comparisons: changes, worst first.
        flips: by group and label; empty where unpaired.
        excess_loss: attribute -> group -> loss of accuracy beyond the average loss (psi_g); empty where unpaired.
        not_judged: sensitive columns of the rows that the policy says nothing of.
        counted: `people` or `rows`, which gaps and the increase count where rows belong to subjects; flips and losses
            count rows. None where rows are independent.
    """

    schema: ClassVar[str] = COMPARE_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.comparison"

    before: str
    after: str
    paired: bool
    why_unpaired: str
    alpha: float
    gaps: tuple[GapChange, ...]
    increase: float | None
    lower: float | None
    upper: float | None
    threshold: float | None
    outcome: Outcome | None
    comparisons: tuple[Comparison, ...]
    flips: tuple[CellFlips, ...]
    excess_loss: dict[str, dict[str, float | None]]
    not_judged: tuple[str, ...] = ()
    counted: str | None = None

    @property
    def exit_code(self) -> int:
        """0 without a threshold; else 0 PASS, 1 FAIL, 3 INCONCLUSIVE."""
        return {None: 0, Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.INCONCLUSIVE: 3}[self.outcome]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        comparisons = [item.to_json() for item in self.comparisons]
        return {"schema": COMPARE_SCHEMA, "exit_code": self.exit_code, **asdict(self), "comparisons": comparisons}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: not such a result.
        """
        comparisons = [comparison_fields(item) for item in data["comparisons"]]
        return read_fields(cls, {**data, "comparisons": comparisons, "flips": flip_fields(data["flips"])})


def compare_paired(
    paired: PairedCounts, policy: Policy, *, before: str, after: str, designs: tuple[Design, Design] | None = None
) -> ComparisonReport:
    """Compare two models that decided the same rows.

    Args:
        designs: of the decisions before, and of those after beside them, where rows belong to subjects.
    """
    change = None if designs is None else designs[1]
    result, excess = judge_paired(paired, policy, change), excess_losses(paired, policy)
    sides = paired.reference, paired.candidate
    found = _report(policy, sides, result, (before, after), "", cell_flips(paired), excess, designs or (None, None))
    return replace(found, counted=None if designs is None else policy.subject_weights)


def compare_unpaired(
    one: GroupCounts, other: GroupCounts, policy: Policy, *, before: str, after: str, why: str
) -> ComparisonReport:
    """Compare two models that decided different rows: independent samples, so wider limits.

    Raises:
        DataError: models of different classes.
    """
    result = judge_unpaired(one, other, policy)
    return _report(policy, (one, other), result, (before, after), why, (), {}, (None, None))


def _report(
    policy: Policy,
    sides: tuple[GroupCounts, GroupCounts],
    result: FamilyResult,
    names: tuple[str, str],
    why_unpaired: str,
    flips: tuple[CellFlips, ...],
    excess_loss: dict[str, dict[str, float | None]],
    designs: tuple[Design | None, Design | None],
) -> ComparisonReport:
    def gap(side: int, name: str) -> float | None:
        return summarize(sides[side], policy, name, designs[side]).gap

    return ComparisonReport(
        before=names[0],
        after=names[1],
        paired=not why_unpaired,
        why_unpaired=why_unpaired,
        alpha=policy.alpha,
        gaps=tuple(GapChange(name, gap(0, name), gap(1, name)) for name in policy.attributes),
        increase=result.estimate,
        lower=result.lower,
        upper=result.upper,
        threshold=policy.max_eo_increase,
        outcome=None if policy.max_eo_increase is None else result.outcome,
        comparisons=result.listed,
        flips=flips,
        excess_loss=excess_loss,
    )
