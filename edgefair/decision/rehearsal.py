"""A verdict of simulated rows, of which only PASS matters, so many can be taken in little time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgefair.decision.cells import metric_cells, rate_cells
from edgefair.decision.decide import ASKED
from edgefair.decision.evidence import Evidence
from edgefair.decision.family import Cells, judge
from edgefair.decision.gates import fairness, utility
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
        return all(gate.outcome is Outcome.PASS for gate in self.gates)


def rehearse(evidence: Evidence, policy: Policy) -> Rehearsal:
    """The gates of a verdict by their own limits, without the exact test, which takes most of its time.

    The test can only raise an upper limit. So PASS by `decide` is PASS here; the reverse holds but for the few tables
    of which the test disagrees, whose share is to be found by `decide` itself.

    Raises:
        PolicyError: as `decide`.
    """
    counts, design = evidence.counts, evidence.design

    def quick(cells: Cells) -> Cells:
        return replace(cells, successes=None)

    absolute = judge(
        [quick(rate_cells(counts, policy, name, design)) for name in policy.attributes],
        alpha=policy.limits_alpha,
        rule=policy.rule,
        waived=frozenset(item.wanted for item in policy.waivers),
    )
    gates = [
        fairness.family_gate(ABSOLUTE, absolute, absolute.binding.threshold),
        utility.collapse(counts),
        utility.balanced_accuracy_floor(evidence, policy),
    ]
    for metric in policy.judged_metrics:
        thresholds = policy.metric_thresholds(metric).items()
        cells = [quick(metric_cells(counts, policy, name, metric, most, design)) for name, most in thresholds]
        result = judge(cells, alpha=policy.limits_alpha, rule=policy.rule)
        gates.append(fairness.family_gate(metric, result, result.binding.threshold))
    asked = ((gate, getattr(policy, key)) for key, gate in ASKED.items())
    gates += [gate(evidence, policy, threshold) for gate, threshold in asked if threshold is not None]
    return Rehearsal(tuple(gates), absolute.unshown)
