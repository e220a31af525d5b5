"""The result of a decision, in full."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from edgefair.probe.bundles.gates import TOO_FEW, UNDEFINED_CELL, WITHIN, direction_of, name_of

VERDICT_SCHEMA = "edgefair.verdict/2"
# Its PASS was not confirmed by the exact test, its FAIL stood for one gate alone: its limits are no wider than today's.
EARLIER_SCHEMA = "edgefair.verdict/1"
# Between an estimate and a threshold that are equal, and computed in two ways: 0.80 - 0.75 is more than 0.05 in floats.
TIE = 1e-12


class Outcome(StrEnum):
    """PASS: shown to be within the threshold. FAIL: shown to be beyond it. INCONCLUSIVE: neither was shown."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.INCONCLUSIVE: 3}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """FAIL > INCONCLUSIVE > PASS. Nothing at all is INCONCLUSIVE: a gate that judged nothing has shown nothing."""
    found = set(outcomes)
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        if outcome in found:
            return outcome
    return Outcome.PASS if found else Outcome.INCONCLUSIVE


class Code(StrEnum):
    """Why a comparison has its outcome."""

    WITHIN = WITHIN
    BEYOND = "beyond_threshold"
    ESTIMATE_BEYOND = "estimate_beyond_threshold"
    TOO_UNCERTAIN = "too_uncertain"
    TOO_FEW = TOO_FEW
    UNDEFINED_CELL = UNDEFINED_CELL

    @property
    def lacks_rows(self) -> bool:
        """Whether the rows do not even suffice to judge it."""
        return self in {Code.TOO_FEW, Code.UNDEFINED_CELL}


# What could be taken for the end of a part of a comparison's name, and the escape itself.
_AMBIGUOUS = re.compile(r"\\|[:,](?![^ ])|(?<![^ ])/(?![^ ])")


def comparison_name(attribute: str, measure: str, group_a: str, group_b: str) -> str:
    r"""The name of a comparison, as reports print it and waivers use it; no two comparisons have the same.

    A `: `, `, ` or ` / ` inside a part, and a backslash, has a backslash before it: `sex: TPR, Female\, old / Male`.
    """
    parts = (attribute, measure, group_a, group_b)
    attribute, measure, group_a, group_b = (_AMBIGUOUS.sub(r"\\\g<0>", part) for part in parts)
    return f"{attribute}: {measure}, {group_a} / {group_b}"


@dataclass(frozen=True)
class Joined:
    """The parts of a difference that was not measured at once: of the reference as it was audited, and its change.

    Attributes:
        n_a, n_b: rows of the two cells in the audit of the reference.
        reference, change: the differences a - b, which add to that of the comparison.
        *_lower, *_upper: their limits, which share alpha (`decision.joined.OF_REFERENCE`).
    """

    n_a: int
    n_b: int
    reference: float
    reference_lower: float
    reference_upper: float
    change: float
    change_lower: float
    change_upper: float


@dataclass(frozen=True)
class Comparison:
    """One pair of groups at one label and decision.

    Attributes:
        attribute: `sex`, or an intersection `sex*age`.
        measure: `TPR`, `FPR`, or `P(decision=c | label=y)`; with `change of` in front in a paired gate.
        rate_a, rate_b: the groups' rates (paired: changes of rate); None without rows.
        n_a, n_b: rows of the two cells.
        difference: rate_a - rate_b; None where it cannot be formed.
        lower, upper: limits of |difference|: lower at alpha / (2 m), shared by all gates, upper at alpha.
        code: why it has this outcome.
        reason: which rows it lacks, in words; empty where the numbers say it all.
        waived: whether a waiver of the policy lets it through.
        corrected_threshold: what the recorded difference must keep for the true one to keep the threshold, where the
            policy declares error rates; the limits are of the true one then. None where it declares none.
        rows_needed: rows in every cell with which all comparisons of its gate pass with a chance of 80 %, if the
            observed rates are the true ones; None where no number would do.
        joined: what it is the sum of, where an audit of the reference was joined.
    """

    attribute: str
    measure: str
    group_a: str
    group_b: str
    rate_a: float | None
    rate_b: float | None
    n_a: int
    n_b: int
    difference: float | None
    lower: float | None
    upper: float | None
    threshold: float
    outcome: Outcome
    code: Code
    reason: str
    rows_needed: int | None
    waived: bool = False
    joined: Joined | None = None
    corrected_threshold: float | None = None

    @property
    def name(self) -> str:
        """A short name that a person can read and a waiver can use."""
        return comparison_name(self.attribute, self.measure, self.group_a, self.group_b)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types. There the reason begins with the code, as it did before there was one beside it."""
        parts = [] if self.code is Code.WITHIN else [self.code, *filter(None, [self.reason])]
        return {**asdict(self), "reason": ": ".join(parts)}


@dataclass(frozen=True)
class Gate:
    """One requirement of the policy.

    Attributes:
        id: what programs know it by, as `eo_gap` (`edgefair.probe.bundles.gates`), or the name of a metric.
        estimate, lower, upper, threshold: in `unit`; None where not measured.
        reason: one sentence for a person.
        binding: the comparison that decided, in a gate of comparisons.
    """

    id: str
    outcome: Outcome
    unit: str
    estimate: float | None
    lower: float | None
    upper: float | None
    threshold: float | None
    reason: str
    binding: Comparison | None = None

    @property
    def direction(self) -> str:
        """`at_least` where the number shall be large, else `at_most`."""
        return direction_of(self.id)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, with the direction and the name that a report has."""
        binding = None if self.binding is None else self.binding.to_json()
        said = {"id": self.id, "name": name_of(self.id), "direction": self.direction}
        return {**said, **asdict(self), "binding": binding}


@dataclass(frozen=True)
class CellRate:
    """A rate of one group at one label with its two-sided interval at 1 - alpha."""

    measure: str
    n: int
    rate: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class GroupRates:
    """What one group meets.

    Attributes:
        rates: TPR and FPR (more classes: recall of every class).
        accuracy, balanced_accuracy: estimates; None without rows in a cell.
    """

    group: str
    rows: int
    rates: tuple[CellRate, ...]
    accuracy: float | None
    balanced_accuracy: float | None


@dataclass(frozen=True)
class AttributeSummary:
    """An attribute's gap, its parts, and its groups.

    Attributes:
        gap: equalized-odds difference: the largest of `parts`; None where a cell has no rows.
        parts: measure (`TPR`, `FPR`) -> largest difference between two groups.
    """

    attribute: str
    gap: float | None
    parts: dict[str, float | None]
    groups: tuple[GroupRates, ...]


@dataclass(frozen=True)
class Verdict:
    """The decision and all that it rests on.

    Attributes:
        outcome: the worst of the gates.
        gates: every requirement that was judged.
        metrics: attribute -> metric -> estimate; None where a cell lacks the rows. Information beside the gates.
        failing: comparisons shown to exceed their threshold, Holm-corrected over the family, worst first; at most
            `LISTED` per attribute.
        failing_total: how many there are.
        comparisons: the comparisons of the absolute gate, worst first; at most `LISTED`.
        comparisons_total: how many there are.
        exceptions: departures from the strict rule that the policy asked for, in words.
        assumptions: what is taken as true of labels and groups, in words.
    """

    outcome: Outcome
    exit_code: int
    alpha: float
    gates: tuple[Gate, ...]
    attributes: tuple[AttributeSummary, ...]
    metrics: dict[str, dict[str, float | None]]
    failing: tuple[Comparison, ...]
    failing_total: int
    comparisons: tuple[Comparison, ...]
    comparisons_total: int
    accuracy: float | None
    policy_digest: str
    exceptions: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def may_ship(self) -> bool:
        """Whether the policy lets this release through."""
        return self.exit_code == 0

    def gate(self, gate_id: str) -> Gate:
        """A gate by its id.

        Raises:
            KeyError: it was not judged.
        """
        judged = {gate.id: gate for gate in self.gates}
        if gate_id not in judged:
            raise KeyError(f"no gate '{gate_id}' was judged, but {', '.join(judged)}")
        return judged[gate_id]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, no NaN."""
        return {
            "schema": VERDICT_SCHEMA,
            **asdict(self),
            "gates": [gate.to_json() for gate in self.gates],
            "failing": [item.to_json() for item in self.failing],
            "comparisons": [item.to_json() for item in self.comparisons],
        }


LISTED = 100
