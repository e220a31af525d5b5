"""What a policy's declared error rates make of its thresholds, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgefair.decision.policy import Policy
from edgefair.decision.recording.misclassification import Correction, NumberCorrection
from edgefair.decision.verdict import Gate
from edgefair.errors import PolicyError
from edgefair.measure.bounds import Array
from edgefair.probe.bundles.gates import (
    ABSOLUTE,
    ACCURACY_DROP,
    ASKED,
    AT_LEAST,
    EXCESS_LOSS,
    FLOOR,
    GROUP_ACCURACY,
    GROUP_DROP,
    PAIRED,
    direction_of,
    name_of,
)

TAKEN_AS_TRUE = "labels and attributes are taken as true: policy.errors declares no error rates"
# Metric -> the label whose rows it is a rate of; a selection rate is of all rows, and labels have no part in it.
LABEL_OF = {"equal_opportunity_difference": 1, "false_positive_rate_difference": 0}
ACCURACY, PRECISION = "accuracy_difference", "predictive_parity_difference"
# Gate -> ends of its numbers. A label counts once in an accuracy, for both models in a loss, and twice in psi.
ENDS = {FLOOR: 1.0, GROUP_ACCURACY: 1.0, ACCURACY_DROP: 1.0, GROUP_DROP: 1.0, EXCESS_LOSS: 2.0}
SHIFTS = {FLOOR: 1, GROUP_ACCURACY: 1, ACCURACY_DROP: 2, GROUP_DROP: 2, EXCESS_LOSS: 4}
# Gate -> key of the policy that asks for it.
KEYS = {gate: key for key, gate in ASKED.items() if gate in ENDS}


def of_rates(policy: Policy, name: str, classes: Sequence[str]) -> Correction | None:
    """Of the rates that equalized odds compares; None where nothing of them is declared to be wrong."""
    return _by_label(policy, name, policy.errors.known.of_labels(classes), unbounded=bool(policy.waivers))


def of_changes(policy: Policy, name: str, classes: Sequence[str]) -> Correction | None:
    """Of the changes of these rates by compression, which lie between -1 and 1."""
    return _by_label(policy, name, policy.errors.known.of_labels(classes), width=2.0)


def of_metric(policy: Policy, name: str, metric: str, classes: Sequence[str]) -> Correction | None:
    """Of the rates that a metric compares."""
    if metric == ACCURACY:
        groups, label = _groups(policy, name), policy.errors.known.label
        return Correction.of_accuracy(groups, label) if groups.any() or label else None
    if metric in LABEL_OF:
        return _by_label(policy, name, policy.errors.known.of_labels(classes)[[LABEL_OF[metric]]])
    return _by_label(policy, name, np.zeros(1))


def of_number(policy: Policy, gate: str) -> NumberCorrection | None:
    """Of a gate that judges a number of every group, of all attributes one after the other, or of everybody."""
    each = [np.zeros(1)] if gate == ACCURACY_DROP else [_groups(policy, name) for name in policy.attributes]
    groups, shift = np.concatenate(each), SHIFTS[gate] * policy.errors.known.label
    low = 0.0 if direction_of(gate) == AT_LEAST else -ENDS[gate]
    return NumberCorrection(groups, shift, low, ENDS[gate]) if groups.any() or shift else None


def recorded_gap(policy: Policy, name: str, classes: Sequence[str]) -> float:
    """What all recorded differences of an attribute must keep for the true ones to keep its threshold.

    By which a model is chosen or planned for, before a verdict takes every pair's own.
    """
    return _least(of_rates(policy, name, classes), policy.threshold(name))


def recorded_threshold(policy: Policy, gate: Gate, classes: Sequence[str]) -> float | None:
    """What the estimate of a gate, as recorded, must keep for the true number to keep its threshold.

    Of a gate of comparisons: of the attribute that binds.
    """
    if gate.threshold is None:
        return None
    if gate.binding is None:
        correction = of_number(policy, gate.id) if gate.id in KEYS else None
        at_least = gate.direction == AT_LEAST
        return gate.threshold if correction is None else correction.recorded(gate.threshold, at_least=at_least)
    name = gate.binding.attribute
    if gate.id == ABSOLUTE:
        return recorded_gap(policy, name, classes)
    if gate.id == PAIRED:
        return _least(of_changes(policy, name, classes), gate.threshold)
    return _least(of_metric(policy, name, gate.id, classes), gate.threshold)


def check_corrections(policy: Policy, classes: Sequence[str] | None = None) -> None:
    """Refuse error rates beside which nothing could pass.

    Args:
        classes: of the data, once they are known.

    Raises:
        PolicyError: a corrected threshold that is 0 or less, a label without a rate or one that the data does not have,
            or a metric whose error rates nobody can know.
    """
    try:
        policy.errors.known.of_labels(_labels(policy) if classes is None else classes)
    except ValueError as error:
        raise PolicyError(f"policy.{error}") from error
    for name in policy.attributes:
        _check_pairs(ABSOLUTE, name, policy.threshold(name), of_rates(policy, name, _labels(policy)))
        if policy.max_eo_increase is not None:
            _check_pairs(PAIRED, name, policy.max_eo_increase, of_changes(policy, name, _labels(policy)))
        for metric in policy.judged_metrics:
            threshold = policy.metric_thresholds(metric).get(name)
            if threshold is not None:
                _check_metric(policy, name, metric, threshold, classes)
    for gate, key in KEYS.items():
        threshold, correction = getattr(policy, key), of_number(policy, gate)
        at_least = direction_of(gate) == AT_LEAST
        if threshold is not None and correction is not None and correction.room(threshold, at_least=at_least) <= 0:
            raise _nothing_left(f"'{name_of(gate)}'", f"policy.{key}", threshold)


def assumptions(policy: Policy) -> tuple[str, ...]:
    """What a verdict takes as true of its labels and groups, in words."""
    errors, audited = policy.errors.known, policy.errors.audited
    how = "declared" if audited is None else "checked"
    if errors.labels is None and not errors.attributes:
        return (TAKEN_AS_TRUE,)
    if errors.labels is None:
        found = ["labels are taken as true"]
    elif isinstance(errors.labels, dict):
        found = [f"{_rates(errors.of_labels(list(errors.labels)), list(errors.labels))} have another label ({how})"]
    else:
        found = [f"at most {errors.labels:.4g} of the rows with a label have another one ({how})"]
    if audited is not None:
        found.append(
            f"error rates are upper limits of what a check of {audited.checked:,} rows found, by group and label; they "
            f"spend {audited.alpha:g} of alpha {policy.alpha:g}"
        )
    return (*found, *(_of_attribute(policy, name, how) for name in policy.attributes))


def _of_attribute(policy: Policy, name: str, how: str) -> str:
    groups, nominal = _groups(policy, name), policy.threshold(name)
    names = policy.group_names(name)
    said = f"{name}: groups are taken as true"
    if groups.any():
        uniform = bool((groups == groups[0]).all())
        shares = f"at most {groups[0]:.4g} of the rows of a group" if uniform else _rates(groups, names)
        said = f"{name}: {shares} are of another ({how})"
    correction = of_rates(policy, name, _labels(policy))
    if correction is None:
        return said
    kept = _off_diagonal(correction.threshold(nominal))
    limits = f"{kept.min():.4g}" if kept.min() == kept.max() else f"{kept.min():.4g} to {kept.max():.4g}"
    return f"{said}; recorded rates must be shown to differ by at most {limits}, so that true ones do by {nominal:g}"


def _rates(rates: Array, names: Sequence[str]) -> str:
    listed = ", ".join(f"{rate:.4g} of '{name}'" for rate, name in zip(rates, names, strict=True))
    return f"at most {listed}"


def _by_label(
    policy: Policy, name: str, labels: Array, *, width: float = 1.0, unbounded: bool = False
) -> Correction | None:
    groups = _groups(policy, name)
    if not groups.any() and not labels.any():
        return None
    return Correction.of(groups, labels, width=width, unbounded=unbounded and len(groups) > 2)


def _groups(policy: Policy, name: str) -> Array:
    """E of every group of an attribute, or of an intersection: a joint group is wrong where a part of it is."""
    total = np.zeros(len(policy.groups(name)))
    if not policy.errors.known.attributes:
        return total
    own = policy.errors.known.of_groups(name, policy.group_names(name))
    if own is not None:
        return own
    for position, part in enumerate(policy.attributes_of(name)):
        single = next(other for other in policy.attributes if policy.attributes_of(other) == (part,))
        rates = policy.errors.known.of_groups(single, policy.group_names(single))
        if rates is not None:
            of = dict(zip(policy.groups(single), rates.tolist(), strict=True))
            total += [of[(group[position],)] for group in policy.groups(name)]
    return total


def _labels(policy: Policy) -> Sequence[str]:
    """Labels as far as a policy knows them."""
    labels = policy.errors.known.labels
    return list(labels) if isinstance(labels, dict) else [""]


def _check_metric(policy: Policy, name: str, metric: str, threshold: float, classes: Sequence[str] | None) -> None:
    if metric == PRECISION and (policy.errors.known.label or _groups(policy, name).any()):
        raise PolicyError(
            f"'{metric}' is judged of '{name}', and policy.errors declares errors",
            expected="a rate by label: of the rows that are decided in one way, other shares are recorded wrongly",
            fix="remove the threshold of this metric, or the error rates",
        )
    if metric not in LABEL_OF or classes is not None:
        _check_pairs(metric, name, threshold, of_metric(policy, name, metric, classes or ()))


def _check_pairs(gate: str, name: str, threshold: float, correction: Correction | None) -> None:
    if correction is not None and _least(correction, threshold) <= 0:
        raise _nothing_left(f"'{name_of(gate)}' of '{name}'", "the threshold", threshold)


def _least(correction: Correction | None, threshold: float) -> float:
    return threshold if correction is None else float(_off_diagonal(correction.threshold(threshold)).min())


def _off_diagonal(values: Array) -> Array:
    """Of pairs of different groups."""
    return values[np.triu_indices(len(values), k=1)]


def _nothing_left(what: str, key: str, threshold: float) -> PolicyError:
    return PolicyError(
        f"the error rates of policy.errors leave nothing of the threshold of {what}, {threshold:g}: no rows could "
        "show that it is kept",
        expected="error rates that are small beside the threshold",
        fix=f"raise {key}, or have labels and groups verified so that smaller rates can be declared",
    )
