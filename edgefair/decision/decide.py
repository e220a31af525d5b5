"""The one place where a verdict is taken."""

from __future__ import annotations

import numpy as np

from edgefair.decision import gates
from edgefair.decision.cells import rate_cells, shift_cells
from edgefair.decision.evidence import Evidence
from edgefair.decision.family import judge
from edgefair.decision.policy import JOIN, Policy
from edgefair.decision.summary import summarize
from edgefair.decision.verdict import EXIT_CODES, Gate, Outcome, Verdict, worst
from edgefair.errors import PolicyError, did_you_mean
from edgefair.measure.counts import GroupCounts


def decide(evidence: Evidence | GroupCounts, policy: Policy) -> Verdict:
    """Judge a measurement by a policy. Pure: equal arguments give an equal verdict.

    Args:
        evidence: what was measured; counts alone where nothing else was.
        policy: thresholds and declared groups.

    Raises:
        PolicyError: the policy names an attribute that was not counted, or does not declare a group that has rows.
    """
    evidence = Evidence(counts=evidence) if isinstance(evidence, GroupCounts) else evidence
    counts = evidence.counts
    _check_attributes(counts, policy)
    absolute = judge(
        [rate_cells(counts, policy, name) for name in policy.attributes], alpha=policy.alpha, rule=policy.rule
    )
    judged: list[Gate] = [
        gates.fairness_gate(gates.ABSOLUTE, absolute, absolute.binding.threshold),
        gates.collapse_gate(counts),
        gates.floor_gate(counts, policy),
    ]
    if policy.max_eo_increase is not None:
        judged.append(_paired_gate(evidence, policy, policy.max_eo_increase))
    if policy.max_accuracy_drop is not None:
        judged.append(gates.accuracy_drop_gate(evidence, policy, policy.max_accuracy_drop))
    if policy.max_latency_p90_ms is not None:
        judged.append(gates.latency_gate(evidence, policy, policy.max_latency_p90_ms))
    if policy.max_size_bytes is not None:
        judged.append(gates.size_gate(evidence, policy.max_size_bytes))
    outcome = worst(gate.outcome for gate in judged)
    through = outcome is Outcome.INCONCLUSIVE and policy.on_inconclusive == "warn"
    diagonal = np.trace(counts.table.sum(axis=0))
    return Verdict(
        outcome=outcome,
        exit_code=0 if through else EXIT_CODES[outcome],
        alpha=policy.alpha,
        gates=tuple(judged),
        attributes=tuple(summarize(counts, policy, name) for name in policy.attributes),
        failing=absolute.failing,
        comparisons=absolute.listed,
        comparisons_total=absolute.total,
        accuracy=float(diagonal / counts.n) if counts.n else None,
        policy_digest=policy.digest,
        exceptions=_exceptions(policy),
    )


def _paired_gate(evidence: Evidence, policy: Policy, threshold: float) -> Gate:
    if evidence.paired is None:
        return gates.paired_unmeasured(evidence, threshold)
    cells = [shift_cells(evidence.paired, policy, name, threshold) for name in policy.attributes]
    return gates.fairness_gate(gates.PAIRED, judge(cells, alpha=policy.alpha, rule=policy.rule), threshold)


def _check_attributes(counts: GroupCounts, policy: Policy) -> None:
    for name in policy.attributes:
        for part in name.split(JOIN):
            if part not in counts.attributes:
                raise PolicyError(
                    f"the policy judges '{part}', which was not measured{did_you_mean(part, counts.attributes)}",
                    expected=f"one of {', '.join(counts.attributes)}",
                    fix="name it under data.sensitive, or leave it out of policy.attributes",
                )


def _exceptions(policy: Policy) -> tuple[str, ...]:
    found = []
    if policy.rule == "point":
        found.append("rule: point (estimates are compared with thresholds; chance decides near them)")
    if policy.on_inconclusive == "warn":
        found.append("on_inconclusive: warn (what could not be shown is let through)")
    return tuple(found)
