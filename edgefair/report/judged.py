"""The gates of a verdict as every format but the terminal's shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from edgefair.decision.verdict import Gate, Outcome
from edgefair.measure.metrics import DIFFERENCES
from edgefair.probe.bundles.gates import ABSOLUTE, COLLAPSE, PAIRED
from edgefair.report.numbers import shown
from edgefair.report.results.verification import NOT_ATTESTED, Report, TargetResult
from edgefair.report.titles import title_of

# Gates whose number is small for any model that decides one class for everybody.
OF_DIFFERENCES = frozenset([ABSOLUTE, PAIRED, *DIFFERENCES])
# Of a report without targets, which shows no gate and is red all the same.
SEALED = "the audit rows are sealed: until PASS they answer one bit, and this is not PASS"
NOT_SHOWN = "verdict"
VACUOUS = "it passes only because the model decides one class for everybody"


class Status(StrEnum):
    """What a gate showed. VACUOUS: nothing, as whoever decides one class for everybody treats all groups alike."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    VACUOUS = "VACUOUS"


@dataclass(frozen=True)
class Judged:
    """A gate on its target.

    Attributes:
        blocks: whether this gate keeps the release from shipping.
    """

    target: TargetResult
    gate: Gate
    status: Status
    blocks: bool

    @property
    def title(self) -> str:
        """What people are shown as its name."""
        return title_of(self.gate.id)

    @property
    def measured(self) -> str:
        """Estimate, limits and threshold with their unit."""
        gate = self.gate
        limits = "" if gate.lower is None and gate.upper is None else f" [{shown(gate.lower)}, {shown(gate.upper)}]"
        return f"{shown(gate.estimate)}{limits}, threshold {shown(gate.threshold)} ({gate.unit})"

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        return f"{VACUOUS}. {self.gate.reason}" if self.status is Status.VACUOUS else self.gate.reason

    @property
    def sentence(self) -> str:
        """All of it, for a message of one line."""
        return f"{self.title} {self.measured}: {self.reason}"


def judged(target: TargetResult) -> tuple[Judged, ...]:
    """The gates of a target in the order of its verdict."""
    verdict = target.verdict
    found = []
    for gate in verdict.gates:
        status = status_of(gate, verdict.gates)
        let_through = status is Status.PASS or (status is Status.INCONCLUSIVE and verdict.exit_code == 0)
        found.append(Judged(target, gate, status, blocks=not let_through))
    return tuple(found)


def all_judged(report: Report) -> tuple[Judged, ...]:
    """The gates of every target."""
    return tuple(item for target in report.targets for item in judged(target))


def headline(report: Report) -> str:
    """The verdict and what follows from it."""
    said = f"{report.outcome} {'may ship' if report.exit_code == 0 else 'BLOCKED'}"
    return said if report.decisions is None else f"{said}, {NOT_ATTESTED}"


def exceptions(report: Report) -> tuple[str, ...]:
    """Departures from the strict rule that the policy asked for, waivers among them, each once."""
    return tuple(sorted({item for target in report.targets for item in target.verdict.exceptions}))


def status_of(gate: Gate, gates: Iterable[Gate]) -> Status:
    """What a gate showed, among all those of its verdict."""
    collapsed = any(item.id == COLLAPSE and item.outcome is Outcome.FAIL for item in gates)
    if collapsed and gate.outcome is Outcome.PASS and gate.id in OF_DIFFERENCES:
        return Status.VACUOUS
    return Status(gate.outcome)
