"""Gates of differences between groups."""

from __future__ import annotations

from edgefair.decision.cells import joined_cells, metric_cells, rate_cells, shift_cells
from edgefair.decision.evidence import Evidence
from edgefair.decision.family import Cells, FamilyResult, judge
from edgefair.decision.gates import without_pairs
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Code, Comparison, Gate, Joined, Outcome
from edgefair.measure.design import Design
from edgefair.measure.paired import PairedCounts
from edgefair.measure.planning import POWER
from edgefair.probe.bundles.gates import PAIRED


def gap_family(evidence: Evidence, policy: Policy) -> list[Cells]:
    """Rates of every declared attribute.

    With an audit of the reference they are judged by that and by what compression changed, and by nothing else: of two
    limits at alpha the narrower one misses more often than that.
    """
    audited, design = evidence.audited, evidence.design
    if audited is None or evidence.paired is None:
        return [rate_cells(evidence.counts, policy, name, design) for name in policy.attributes]
    return [
        joined_cells(
            shift_cells(evidence.paired, policy, name, policy.threshold(name), design),
            rate_cells(audited.counts, policy, name, audited.design),
        )
        for name in policy.attributes
    ]


def metric_family(evidence: Evidence, policy: Policy, metric: str) -> list[Cells]:
    """What a metric compares, of the attributes that have a threshold of it."""
    thresholds = policy.metric_thresholds(metric).items()
    return [metric_cells(evidence.counts, policy, name, metric, most, evidence.design) for name, most in thresholds]


def change_family(paired: PairedCounts, policy: Policy, threshold: float, design: Design | None) -> list[Cells]:
    """Changes by compression, of every declared attribute."""
    return [shift_cells(paired, policy, name, threshold, design) for name in policy.attributes]


def absolute(evidence: Evidence, policy: Policy, claims: float = 1) -> FamilyResult:
    """Every pair of groups of every declared attribute; comparisons that a waiver names do not count."""
    cells, waived = gap_family(evidence, policy), policy.waived
    return judge(cells, alpha=policy.alpha, rule=policy.rule, claims=claims, waived=waived)


def paired(evidence: Evidence, policy: Policy, threshold: float, claims: float = 1) -> Gate:
    """Growth of the differences by compression, on the same rows."""
    if evidence.paired is None:
        return without_pairs(evidence, PAIRED, "rate", threshold)
    cells = change_family(evidence.paired, policy, threshold, evidence.design)
    return family_gate(PAIRED, judge(cells, alpha=policy.alpha, rule=policy.rule, claims=claims), threshold)


def metric(evidence: Evidence, policy: Policy, name: str, claims: float = 1) -> Gate:
    """Another group difference that the policy limits, for the attributes that have a threshold of it."""
    result = judge(metric_family(evidence, policy, name), alpha=policy.alpha, rule=policy.rule, claims=claims)
    return family_gate(name, result, result.binding.threshold)


def family_gate(gate: str, result: FamilyResult, threshold: float) -> Gate:
    """The gate of a family of comparisons."""
    return Gate(
        id=gate,
        outcome=result.outcome,
        unit="rate",
        estimate=result.estimate,
        lower=result.lower,
        upper=result.upper,
        threshold=threshold,
        reason=_reason(result.binding),
        binding=result.binding,
    )


def _reason(item: Comparison) -> str:
    if item.code.lacks_rows:
        return f"{item.name}: {item.reason}"
    sentence = f"{item.name}: {_difference(item)}"
    if item.outcome is Outcome.FAIL and (item.lower is None or item.lower <= item.threshold):
        return f"{sentence}: the estimate is beyond {item.threshold:g} (rule: point)"
    if item.outcome is Outcome.FAIL:
        return f"{sentence}, shown to exceed {item.threshold:g}"
    if item.outcome is Outcome.PASS and (item.upper is None or item.upper > item.threshold):
        return f"{sentence}: the estimate is at most {item.threshold:g} (rule: point)"
    if item.outcome is Outcome.PASS:
        return f"{sentence}, shown to be at most {item.threshold:g}"
    if item.code is Code.ESTIMATE_BEYOND:
        if item.corrected_threshold is not None and abs(item.difference or 0.0) <= item.threshold:
            left = f"{item.corrected_threshold:.4g}, what the declared errors leave of {item.threshold:g}"
            return f"{sentence}: the recorded difference is beyond {left}, but the rows do not prove a true one"
        return f"{sentence}: the estimate is beyond {item.threshold:g}, but the rows do not prove it"
    if item.rows_needed is None:
        return f"{sentence}: no number of rows would show all to be within while another estimate is not"
    chance = f"at these rates, with a chance of {POWER:.0%}; here are {min(item.n_a, item.n_b):,}"
    return f"{sentence}: about {item.rows_needed:,} rows in every cell would decide ({chance})"


def _difference(item: Comparison) -> str:
    if item.difference is None or item.lower is None or item.upper is None:
        return "no difference can be formed"
    recorded = "" if item.corrected_threshold is None else "recorded "
    true = "" if item.corrected_threshold is None else "the true one "
    found = f"{recorded}difference {abs(item.difference):.4f}, {true}between {item.lower:.4f} and {item.upper:.4f}"
    return found if item.joined is None else f"{found} ({_parts(item.joined)})"


def _parts(item: Joined) -> str:
    reference = f"{item.reference:.4f} [{item.reference_lower:.4f}, {item.reference_upper:.4f}]"
    change = f"{item.change:.4f} [{item.change_lower:.4f}, {item.change_upper:.4f}]"
    return f"the audited reference's {reference} of {min(item.n_a, item.n_b):,} rows, changed by {change}"
