"""Gates of usefulness: a gap can be closed by making everybody worse, and these forbid it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.cells import declared_table, limits_of
from edgefair.decision.evidence import Evidence
from edgefair.decision.gates import judge_bounds, without_pairs
from edgefair.decision.policy import Policy
from edgefair.decision.recording.corrections import of_number
from edgefair.decision.verdict import TIE, Gate, Outcome
from edgefair.measure import bounds
from edgefair.measure.bounds import Array, mover
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Change, Effective, concatenated, widened
from edgefair.measure.paired import one_sided
from edgefair.probe.bundles.gates import (
    ACCURACY_DROP,
    AT_LEAST,
    COLLAPSE,
    EXCESS_LOSS,
    FLOOR,
    GROUP_ACCURACY,
    GROUP_DROP,
    direction_of,
)

Counts = NDArray[np.int64]
# level -> (estimate, lower, upper), each [groups]
GroupLimits = Callable[[float], tuple[Array, Array, Array]]


def collapse(counts: GroupCounts) -> Gate:
    """A model that decides one class for everybody has a gap of 0, and no use."""
    decided = counts.table.sum(axis=(0, 1))
    used = [counts.classes[index] for index in np.flatnonzero(decided)]
    collapsed = len(used) < 2
    return Gate(
        id=COLLAPSE,
        outcome=Outcome.FAIL if collapsed else Outcome.PASS,
        unit="classes decided",
        estimate=float(len(used)),
        lower=None,
        upper=None,
        threshold=2.0,
        reason=(
            f"the model predicts '{used[0]}' for everybody: its gap of 0 is meaningless"
            if used and collapsed
            else f"{len(used)} of {len(counts.classes)} classes are predicted"
        ),
    )


def balanced_accuracy_floor(evidence: Evidence, policy: Policy, claims: float = 1) -> Gate:
    """Balanced accuracy (mean recall over the labels) of the worst group, of every declared attribute.

    Its limits add the limits of the recalls by MOVER. Without a floor in the policy it must be better than chance.
    """
    counts, design = evidence.counts, evidence.design
    classes = len(counts.classes)
    table = np.concatenate([declared_table(counts, policy, name) for name in policy.attributes])
    n, hits = table.sum(axis=2), np.diagonal(table, axis1=1, axis2=2)
    effective: Effective | None = None
    factor = np.ones(len(table))
    if design is not None:
        each = np.arange(classes)
        effective = concatenated([design.rates[name].at(slice(None), each, each) for name in policy.attributes])
        if design.balanced:
            factor = np.concatenate([design.balanced[name] for name in policy.attributes])

    def limits(level: float) -> tuple[Array, Array, Array]:
        recall, lower, upper = limits_of(hits, n, level, effective)
        value = recall.mean(axis=1)
        below = np.sqrt(((recall - lower) ** 2).sum(axis=1)) / classes
        above = np.sqrt(((upper - recall) ** 2).sum(axis=1)) / classes
        return widened((value, value - below, value + above), factor)

    floor = policy.min_balanced_accuracy
    least = 1.0 / classes + 2 * TIE if floor is None else floor
    wanted = "required: better than chance" if floor is None else f"required: at least {floor:g}"
    return _worst_group(FLOOR, "balanced accuracy", policy, limits, (n > 0).all(axis=1), float(least), wanted, claims)


def accuracy_floor(evidence: Evidence, policy: Policy, floor: float, claims: float = 1) -> Gate:
    """Accuracy of the worst group."""
    table = np.concatenate([declared_table(evidence.counts, policy, name) for name in policy.attributes])
    hits, n = np.trace(table, axis1=1, axis2=2), table.sum(axis=(1, 2))
    design = evidence.design
    effective = None if design is None else concatenated([design.accuracy[name] for name in policy.attributes])
    wanted = f"required: at least {floor:g}"

    def limits(level: float) -> tuple[Array, Array, Array]:
        return limits_of(hits, n, level, effective)

    return _worst_group(GROUP_ACCURACY, "accuracy", policy, limits, n > 0, floor, wanted, claims)


def accuracy_drop(evidence: Evidence, policy: Policy, threshold: float, claims: float = 1) -> Gate:
    """Accuracy of the reference minus that of the candidate on the same rows, with paired limits."""
    if evidence.paired is None:
        return without_pairs(evidence, ACCURACY_DROP, "accuracy", threshold)
    corrected, broken, n = (part.sum(keepdims=True) for part in _flips(evidence.paired.table))
    change = evidence.design.drop if evidence.design else None

    correction = of_number(policy, ACCURACY_DROP)

    def limits(level: float) -> tuple[float, float, float]:
        found = _loss(corrected, broken, n, level, change)
        value, lower, upper = found if correction is None else correction.at_most(found)
        return float(value[0]), float(lower[0]), float(upper[0])

    estimate, _, upper = limits(policy.alpha)
    lower = limits(policy.alpha / claims)[1]
    at_worst = estimate if correction is None else estimate + correction.shift
    return Gate(
        id=ACCURACY_DROP,
        outcome=judge_bounds(policy, at_worst, lower, upper, threshold),
        unit="accuracy",
        estimate=estimate,
        lower=lower,
        upper=upper,
        threshold=threshold,
        reason=f"compression corrects {int(corrected[0]):,} and breaks {int(broken[0]):,} of {int(n[0]):,} decisions",
    )


def group_accuracy_drop(evidence: Evidence, policy: Policy, threshold: float, claims: float = 1) -> Gate:
    """Loss of accuracy by compression of the group that loses most."""
    if evidence.paired is None:
        return without_pairs(evidence, GROUP_DROP, "accuracy", threshold)
    table = np.concatenate([declared_table(evidence.paired, policy, name) for name in policy.attributes])
    corrected, broken, n = _flips(table)
    change = _losses(evidence, policy)
    wanted = f"required: at most {threshold:g}"
    return _worst_group(
        GROUP_DROP,
        "accuracy",
        policy,
        lambda level: _loss(corrected, broken, n, level, change),
        n > 0,
        threshold,
        wanted,
        claims,
    )


def excess_loss(evidence: Evidence, policy: Policy, threshold: float, claims: float = 1) -> Gate:
    """psi_g: loss of accuracy of a group beyond the average loss (Hashemizadeh et al., ICLR 2024, eq. 3).

    psi_g = loss_g - loss = (1 - n_g / n) (loss_g - loss of all others): two independent samples, so MOVER applies.
    Where people are counted, n and n_g are people.
    """
    if evidence.paired is None:
        return without_pairs(evidence, EXCESS_LOSS, "accuracy", threshold)
    tables = [declared_table(evidence.paired, policy, name) for name in policy.attributes]
    own = [_flips(table) for table in tables]
    rest = [tuple(part.sum() - part for part in parts) for parts in own]
    corrected, broken, n = (np.concatenate([parts[index] for parts in own]) for index in range(3))
    corrected_rest, broken_rest, n_rest = (np.concatenate([parts[index] for parts in rest]) for index in range(3))
    weight, factor = n_rest / np.maximum(n + n_rest, 1), np.ones(len(n))
    change, others = _losses(evidence, policy), None
    if evidence.design is not None:
        found = [evidence.design.excess[name] for name in policy.attributes]
        others = Change.concatenated([item.rest for item in found])
        weight, factor = (np.concatenate(item) for item in zip(*((i.weight, i.widening) for i in found), strict=True))

    def limits(level: float) -> tuple[Array, Array, Array]:
        of_rest = _loss(corrected_rest, broken_rest, n_rest, level, others)
        value, lower, upper = widened(mover(*_loss(corrected, broken, n, level, change), *of_rest), factor)
        return weight * value, weight * lower, weight * upper

    wanted = f"required: at most {threshold:g}"
    filled = (n > 0) & (n_rest > 0)
    return _worst_group(EXCESS_LOSS, "accuracy", policy, limits, filled, threshold, wanted, claims)


def _flips(table: Counts) -> tuple[Counts, Counts, Counts]:
    """Rows corrected, rows broken, and rows of each group, from [groups, labels, reference, candidate]."""
    corrected, broken = (part.sum(axis=1) for part in one_sided(table))
    return corrected, broken, table.sum(axis=(1, 2, 3))


def _loss(
    corrected: Counts, broken: Counts, n: Counts, level: float, change: Change | None
) -> tuple[Array, Array, Array]:
    if change is not None:
        return change.limits(broken, corrected, n, level)
    return bounds.change(limits_of(broken, n, level), limits_of(corrected, n, level))


def _losses(evidence: Evidence, policy: Policy) -> Change | None:
    """Effective sizes of the losses of all groups, where rows belong to subjects."""
    if evidence.design is None:
        return None
    return Change.concatenated([evidence.design.losses[name] for name in policy.attributes])


def _worst_group(
    gate: str,
    unit: str,
    policy: Policy,
    limits: GroupLimits,
    filled: NDArray[np.bool_],
    threshold: float,
    wanted: str,
    claims: float,
) -> Gate:
    """Judge a number of every group: by the gate's direction at most the threshold, or at least it.

    PASS claims that all groups hold it, with limits at alpha; FAIL that one does not, at alpha / (claims groups). Where
    the policy declares error rates, the limits are of what the worst true group has.
    """
    sign = -1 if direction_of(gate) == AT_LEAST else 1
    correction = of_number(policy, gate)
    true = _as_recorded if correction is None else correction.at_most if sign > 0 else correction.at_least
    groups = [(attribute, group) for attribute in policy.attributes for group in policy.group_names(attribute)]
    value, *bounds = true(limits(policy.alpha))
    corrected = true(limits(policy.alpha / claims / len(groups)))[1:]
    far, near = (bounds[1], corrected[0]) if sign > 0 else (bounds[0], corrected[1])
    if policy.rule == "point":
        far, near = true((value, value, value))[2 if sign > 0 else 1], value
    tie = TIE if policy.rule == "point" else 0.0
    passed = filled & (sign * far <= sign * threshold + tie)
    failed = filled & (sign * near > sign * threshold + tie)
    outcome = Outcome.FAIL if failed.any() else Outcome.PASS if passed.all() else Outcome.INCONCLUSIVE
    rank = np.where(failed, 0, np.where(~filled, 1, np.where(~passed, 2, 3)))
    worst = int(np.lexsort((-sign * far, rank))[0])
    attribute, group = groups[worst]
    label = f"group '{group}' of '{attribute}'"
    known = bool(filled[worst])
    limit = "upper" if sign > 0 else "lower"
    reason = f"{label} has a label without rows"
    if known:
        reason = f"{label}: {value[worst]:.4f} with {limit} limit {far[worst]:.4f}, {wanted}"
        estimates = np.where(filled, sign * value, -np.inf)
        other = int(estimates.argmax())
        if estimates[other] > estimates[worst]:
            of, name_of = groups[other]
            reason += f"; its few rows decide, the worst estimate is {value[other]:.4f}, of group '{name_of}' of '{of}'"
    return Gate(
        id=gate,
        outcome=outcome,
        unit=unit,
        estimate=float(value[worst]) if known else None,
        lower=float((near if sign > 0 else far)[worst]) if known else None,
        upper=float((far if sign > 0 else near)[worst]) if known else None,
        threshold=threshold,
        reason=reason,
    )


def _as_recorded(limits: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    return limits


# Key of the policy that holds a threshold -> the gate that judges by it, in the order of a verdict.
ASKED = {
    "min_group_accuracy": accuracy_floor,
    "max_accuracy_drop": accuracy_drop,
    "max_group_accuracy_drop": group_accuracy_drop,
    "max_excess_loss": excess_loss,
}
