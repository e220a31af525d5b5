"""The gates of a release: each turns one requirement of the policy into a judged `Gate`."""

from __future__ import annotations

import numpy as np

from edgefair.decision.cells import declared_table
from edgefair.decision.evidence import Evidence
from edgefair.decision.family import FamilyResult
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Comparison, Gate, Outcome
from edgefair.measure.bounds import clopper_pearson, paired_shift
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts

ABSOLUTE = "equalized-odds gap"
PAIRED = "equalized-odds increase"
COLLAPSE = "decisions vary"
FLOOR = "worst-group balanced accuracy"
ACCURACY_DROP = "accuracy drop"
LATENCY = "latency p90"
SIZE = "size"


def fairness_gate(name: str, result: FamilyResult, threshold: float) -> Gate:
    """The gate of a family of comparisons."""
    return Gate(
        name=name,
        outcome=result.outcome,
        unit="rate",
        estimate=result.estimate,
        lower=result.lower,
        upper=result.upper,
        threshold=threshold,
        reason=_fairness_reason(result),
        binding=result.binding,
    )


def collapse_gate(counts: GroupCounts) -> Gate:
    """A model that decides one class for everybody has a gap of 0, and no use."""
    decided = counts.table.sum(axis=(0, 1))
    used = [counts.classes[index] for index in np.flatnonzero(decided)]
    collapsed = len(used) < 2
    return Gate(
        name=COLLAPSE,
        outcome=Outcome.FAIL if collapsed else Outcome.PASS,
        unit="classes decided",
        estimate=float(len(used)),
        lower=None,
        upper=None,
        threshold=2.0,
        reason=(
            f"the model decides '{used[0]}' for everybody: a gap of 0 that is of no use to anybody"
            if used and collapsed
            else f"{len(used)} of {len(counts.classes)} classes are decided"
        ),
    )


def floor_gate(counts: GroupCounts, policy: Policy) -> Gate:
    """Balanced accuracy (mean recall over the labels) of the worst group, of every declared attribute.

    Limits add the recalls' Clopper-Pearson limits by MOVER. PASS: every group's lower limit at alpha is above the
    floor; FAIL: some group's upper limit at alpha / groups is below it.
    """
    classes = len(counts.classes)
    floor = policy.min_balanced_accuracy
    least = 1.0 / classes if floor is None else floor
    names = [(name, group) for name in policy.attributes for group in policy.groups(name)]
    table = np.concatenate([declared_table(counts, policy, name) for name in policy.attributes])
    n = table.sum(axis=2)
    hits = np.diagonal(table, axis1=1, axis2=2)
    recall = hits / np.maximum(n, 1)
    value = recall.mean(axis=1)
    lower = value - np.sqrt(((recall - clopper_pearson(hits, n, policy.alpha)[0]) ** 2).sum(axis=1)) / classes
    corrected = policy.alpha / len(names)
    upper = value + np.sqrt(((clopper_pearson(hits, n, corrected)[1] - recall) ** 2).sum(axis=1)) / classes
    filled = (n > 0).all(axis=1)
    what = "better than chance" if floor is None else f"at least {least:g}"
    if policy.rule == "point":
        passed = filled & ((value > least) if floor is None else (value >= least))
        failed = filled & ~passed
    else:
        passed = filled & ((lower > least) if floor is None else (lower >= least))
        failed = filled & (upper < least)
    outcome = Outcome.FAIL if failed.any() else Outcome.PASS if passed.all() else Outcome.INCONCLUSIVE
    rank = np.where(failed, 0, np.where(~filled, 1, np.where(~passed, 2, 3)))
    worst = int(np.lexsort((lower, rank))[0])
    attribute, group = names[worst]
    label = f"group '{group}' of '{attribute}'"
    return Gate(
        name=FLOOR,
        outcome=outcome,
        unit="balanced accuracy",
        estimate=float(value[worst]) if filled[worst] else None,
        lower=float(lower[worst]) if filled[worst] else None,
        upper=float(upper[worst]) if filled[worst] else None,
        threshold=least,
        reason=(
            f"undefined_cell: {label} has a label without rows"
            if not filled[worst]
            else f"{label}: {value[worst]:.3f} with lower limit {lower[worst]:.3f}, wanted {what}"
        ),
    )


def accuracy_drop_gate(evidence: Evidence, policy: Policy, threshold: float) -> Gate:
    """Accuracy of the reference minus that of the candidate on the same rows, with paired limits."""
    if evidence.paired is None:
        return _unmeasured(ACCURACY_DROP, "accuracy", threshold, evidence.why_missing(ACCURACY_DROP, NO_REFERENCE))
    gained, lost, n = _flips(evidence.paired)
    estimate, _, upper = (float(x) for x in paired_shift(lost, gained, n, policy.alpha))
    lower = float(paired_shift(lost, gained, n, policy.alpha / 2)[1])
    return Gate(
        name=ACCURACY_DROP,
        outcome=_judge(policy, estimate, lower, upper, threshold),
        unit="accuracy",
        estimate=estimate,
        lower=lower,
        upper=upper,
        threshold=threshold,
        reason=f"compression mends {gained:,} and spoils {lost:,} of {n:,} decisions",
    )


def latency_gate(evidence: Evidence, policy: Policy, threshold: float) -> Gate:
    """The 90th percentile of single-query latency."""
    latency = evidence.latency
    if latency is None or latency.p90_ms is None:
        default = "latency was not measured" if latency is None else f"{latency.queries} queries are too few for a p90"
        return _unmeasured(LATENCY, "ms", threshold, evidence.why_missing(LATENCY, default))
    lower, upper = latency.p90_lower_ms, latency.p90_upper_ms
    outcome = _judge(
        policy,
        latency.p90_ms,
        lower if lower is not None else -np.inf,
        upper if upper is not None else np.inf,
        threshold,
    )
    drift = f"; it drifted by {latency.drift:+.0%} while it was measured" if latency.drifted else ""
    return Gate(
        name=LATENCY,
        outcome=outcome,
        unit="ms",
        estimate=latency.p90_ms,
        lower=lower,
        upper=upper,
        threshold=threshold,
        reason=f"{latency.queries:,} queries, batch 1{drift}",
    )


def size_gate(evidence: Evidence, threshold: int) -> Gate:
    """Bytes of the model file."""
    size = evidence.size_bytes
    if size is None:
        return _unmeasured(SIZE, "bytes", float(threshold), evidence.why_missing(SIZE, "the size is not known"))
    return Gate(
        name=SIZE,
        outcome=Outcome.PASS if size <= threshold else Outcome.FAIL,
        unit="bytes",
        estimate=float(size),
        lower=None,
        upper=None,
        threshold=float(threshold),
        reason=f"{size:,} bytes of {threshold:,}",
    )


NO_REFERENCE = "no reference model was measured on the same rows; name one with --reference"


def paired_unmeasured(evidence: Evidence, threshold: float) -> Gate:
    """The paired gate where there is no reference."""
    return _unmeasured(PAIRED, "rate", threshold, evidence.why_missing(PAIRED, NO_REFERENCE))


def _judge(policy: Policy, estimate: float, lower: float, upper: float, threshold: float) -> Outcome:
    if policy.rule == "point":
        return Outcome.PASS if estimate <= threshold else Outcome.FAIL
    if upper <= threshold:
        return Outcome.PASS
    return Outcome.FAIL if lower > threshold else Outcome.INCONCLUSIVE


def _flips(paired: PairedCounts) -> tuple[int, int, int]:
    """Rows that only the candidate decides rightly, rows that only the reference does, and all rows."""
    gained = lost = 0
    for label in range(len(paired.classes)):
        table = paired.table[:, label].sum(axis=0)
        gained += int(table[:, label].sum() - table[label, label])
        lost += int(table[label, :].sum() - table[label, label])
    return gained, lost, int(paired.table.sum())


def _unmeasured(name: str, unit: str, threshold: float, why: str) -> Gate:
    return Gate(name, Outcome.INCONCLUSIVE, unit, None, None, None, threshold, f"not_measured: {why}")


def _fairness_reason(result: FamilyResult) -> str:
    item = result.binding
    if item.reason.startswith(("undefined_cell", "too_few")):
        return f"{item.name}: {item.reason}"
    sentence = f"{item.name}: {_difference(item)}"
    if item.outcome is Outcome.FAIL:
        return f"{sentence}, shown to exceed {item.threshold:g}"
    if item.outcome is Outcome.PASS:
        return f"{sentence}, shown to be at most {item.threshold:g}"
    if item.rows_needed is None:
        return f"{sentence}: the estimate is beyond {item.threshold:g}, and the rows do not prove it"
    return f"{sentence}: about {item.rows_needed:,} rows per cell would decide (now {min(item.n_a, item.n_b):,})"


def _difference(item: Comparison) -> str:
    if item.difference is None or item.lower is None or item.upper is None:
        return "no difference can be formed"
    return f"difference {abs(item.difference):.4f}, between {item.lower:.4f} and {item.upper:.4f}"
