"""Verdicts of simulated rows, of which only PASS matters, so many can be taken in little time."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edgefair.decision.cells import rate_cells
from edgefair.decision.decide import ASKED, as_judged
from edgefair.decision.evidence import Evidence
from edgefair.decision.family import Cells, judge, shown
from edgefair.decision.gates import device, fairness, utility
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Gate, Outcome
from edgefair.probe.bundles.gates import ABSOLUTE


@dataclass(frozen=True)
class Rehearsal:
    """What `decide` says, but for the exact test that confirms its PASS.

    Attributes:
        gates: those of decisions, in the order of a verdict; costs of the device are not among them.
        unshown: attributes whose equalized-odds gap is not shown to be within its threshold.
    """

    gates: tuple[Gate, ...]
    unshown: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passes: where this does not, `decide` does not either."""
        return _passed(self.gates)


def rehearse(evidence: Evidence, policy: Policy) -> Rehearsal:
    """The gates of a verdict by their own limits, without the exact test and what is said beside them.

    The test can only raise an upper limit. So PASS by `decide` is PASS here; the reverse holds but for the few tables
    of which the test disagrees, whose share is to be found by `decide` itself.

    Raises:
        PolicyError: as `decide`.
    """
    gap, alpha, rule = _gap_family(evidence, policy), policy.limits_alpha, policy.rule
    absolute = judge(gap, alpha=alpha, rule=rule, waived=policy.waived)
    gates = [
        fairness.family_gate(ABSOLUTE, absolute, absolute.binding.threshold),
        utility.collapse(evidence.decided),
        utility.balanced_accuracy_floor(evidence, policy),
    ]
    for metric in policy.judged_metrics:
        result = judge(_quick(fairness.metric_family(evidence, policy, metric)), alpha=alpha, rule=rule)
        gates.append(fairness.family_gate(metric, result, result.binding.threshold))
    asked = ((gate, getattr(policy, key)) for key, gate in ASKED.items())
    gates += [gate(evidence, policy, threshold) for gate, threshold in asked if threshold is not None]
    return Rehearsal(tuple(gates), absolute.unshown)


def passes_rehearsal(evidence: Evidence, policy: Policy) -> bool:
    """Whether `rehearse` says that every gate passes.

    Raises:
        PolicyError: as `decide`.
    """
    metrics = (_quick(fairness.metric_family(evidence, policy, name)) for name in policy.judged_metrics)
    gap = _gap_family(evidence, policy)
    return _shown(gap, metrics, policy, policy.limits_alpha) and _others_pass(evidence, policy)


def passes(evidence: Evidence, policy: Policy, *, today: datetime.date | None = None) -> bool:
    """Whether `decide` says PASS of an audit that is played: a release is judged by `decide` alone.

    Raises:
        PolicyError, DataError: as `decide`.
    """
    evidence, policy = as_judged(evidence, policy, today, None)
    metrics = (fairness.metric_family(evidence, policy, name) for name in policy.judged_metrics)
    gap = fairness.gap_family(evidence, policy)
    return (
        _shown(gap, metrics, policy, policy.alpha)
        and _others_pass(evidence, policy)
        and _passed(device.cost(evidence, policy, None, 1))
    )


def _gap_family(evidence: Evidence, policy: Policy) -> list[Cells]:
    return _quick([rate_cells(evidence.counts, policy, name, evidence.design) for name in policy.attributes])


def _quick(family: Sequence[Cells]) -> list[Cells]:
    """Without what the exact test would take."""
    return [replace(cells, successes=None) for cells in family]


def _shown(gap: Sequence[Cells], metrics: Iterable[Sequence[Cells]], policy: Policy, alpha: float) -> bool:
    """Whether the gates of differences between groups pass."""
    return shown(gap, alpha=alpha, rule=policy.rule, waived=policy.waived) and all(
        shown(family, alpha=alpha, rule=policy.rule) for family in metrics
    )


def _others_pass(evidence: Evidence, policy: Policy) -> bool:
    """Whether the other gates of decisions pass."""
    asked = {key: threshold for key in ASKED if (threshold := getattr(policy, key)) is not None}
    if "max_eo_increase" in asked and evidence.paired is not None:
        changes = fairness.change_family(evidence.paired, policy, asked.pop("max_eo_increase"), evidence.design)
        if not shown(changes, alpha=policy.alpha, rule=policy.rule):
            return False
    gates = [utility.collapse(evidence.decided), utility.balanced_accuracy_floor(evidence, policy)]
    return _passed([*gates, *(ASKED[key](evidence, policy, threshold) for key, threshold in asked.items())])


def _passed(gates: Sequence[Gate]) -> bool:
    return all(gate.outcome is Outcome.PASS for gate in gates)
