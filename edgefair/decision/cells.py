"""From counts to the cells of a family, for the groups that the policy declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.family import ROWS, Cells, Limits
from edgefair.decision.policy import Policy
from edgefair.decision.recording import corrections
from edgefair.decision.recording.misclassification import Correction
from edgefair.errors import PolicyError, did_you_mean
from edgefair.joint import group_name, join
from edgefair.measure.bounds import Array, change, clopper_pearson
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design, Effective
from edgefair.measure.metrics import DIFFERENCES, RATES
from edgefair.measure.paired import PairedCounts

Counts = NDArray[np.int64]
Shape = tuple[int, ...]
# Change of a rate beyond which a model is not the reference compressed, and the reference's audit says nothing: MOVER's
# limits of two changes miss too often where more than 9 of 10 rows flip one way, and nowhere else.
MOST_CHANGE = 0.5
# What the units of a cell are where rows belong to subjects.
UNITS = {"people": "subjects", "rows": "subjects of equal weight"}
# And where rows were chosen by a label design.
LABELLED = "labelled rows"


def declared_table(counts: GroupCounts | PairedCounts, policy: Policy, name: str) -> Counts:
    """Counts of the declared groups of an attribute, in the policy's order; zeros for a group without rows.

    Raises:
        PolicyError: a group in the data that the policy does not declare.
    """
    part = counts.by(*policy.attributes_of(name))
    declared = policy.groups(name)
    position = {group: index for index, group in enumerate(declared)}
    table = np.zeros((len(declared), *part.table.shape[1:]), dtype=np.int64)
    for index, group in enumerate(part.groups):
        if group not in position:
            shown, names = group_name(group), policy.group_names(name)
            raise PolicyError(
                f"group '{shown}' of attribute '{name}' has {int(part.table[index].sum())} rows and the policy does "
                f"not declare it{did_you_mean(shown, names)}",
                expected=f"one of {', '.join(names)}",
                fix=f"add it to policy.attributes.{name}.groups: people who are left out are not counted",
            )
        table[position[group]] = part.table[index]
    return table


def limits_of(x: Counts, n: Counts, level: float, effective: Effective | None = None) -> tuple[Array, Array, Array]:
    """x / n with Clopper-Pearson limits, of effective numbers where rows belong to subjects; 0 to 1 without rows."""
    if effective is not None:
        return effective.limits(x, n, level)
    parts = [np.ascontiguousarray(part, dtype=np.int64).tobytes() for part in (x, n)]
    lower, upper = map(np.frombuffer, _limits(*parts, x.shape, n.shape, level))
    shape = np.broadcast_shapes(x.shape, n.shape)
    return x / np.maximum(n, 1), lower.reshape(shape), upper.reshape(shape)


@lru_cache(maxsize=256)
def _limits(x: bytes, n: bytes, x_shape: Shape, n_shape: Shape, level: float) -> tuple[bytes, bytes]:
    x_of, n_of = np.frombuffer(x, np.int64).reshape(x_shape), np.frombuffer(n, np.int64).reshape(n_shape)
    lower, upper = clopper_pearson(x_of, n_of, level)
    return lower.tobytes(), upper.tobytes()


def rate_cells(counts: GroupCounts, policy: Policy, name: str, design: Design | None) -> Cells:
    """Cells of the equalized-odds gap: r[g, y, c] = x[g, y, c] / n[g, y]."""
    table = declared_table(counts, policy, name)
    decisions = compared(counts.classes)
    x, n = table[:, :, decisions], table.sum(axis=2)
    effective = _pick(design.rates[name], decisions) if design else None
    return _cells(
        policy,
        name,
        measures=measures(counts.classes),
        n=n,
        successes=x if effective is None else None,
        limits=lambda level: limits_of(x, n[:, :, None], level, effective),
        variance=_variance(x, n[:, :, None], effective),
        threshold=policy.threshold(name),
        effective=effective,
        correction=corrections.of_rates(policy, name, counts.classes),
    )


def metric_cells(
    counts: GroupCounts, policy: Policy, name: str, metric: str, threshold: float, design: Design | None
) -> Cells:
    """Cells of another difference between groups: one rate per group."""
    table = declared_table(counts, policy, name)
    x, n = (part[:, None] for part in RATES[DIFFERENCES[metric]](table))
    effective = design.metrics[name][metric] if design else None
    return _cells(
        policy,
        name,
        measures=((DIFFERENCES[metric],),),
        n=n,
        successes=x[:, :, None] if effective is None else None,
        limits=lambda level: limits_of(x[:, :, None], n[:, :, None], level, effective),
        variance=_variance(x[:, :, None], n[:, :, None], effective),
        threshold=threshold,
        effective=effective,
        correction=corrections.of_metric(policy, name, metric, counts.classes),
    )


def shift_cells(paired: PairedCounts, policy: Policy, name: str, threshold: float, design: Design | None) -> Cells:
    """Cells of the paired gate: delta[g, y, c], the change of the rate by compression, from the rows that flipped."""
    table = declared_table(paired, policy, name)
    decisions = compared(paired.classes)
    n = table.sum(axis=(2, 3))
    gained = np.stack([table[:, :, :, c].sum(axis=2) - table[:, :, c, c] for c in decisions], axis=2)
    lost = np.stack([table[:, :, c, :].sum(axis=2) - table[:, :, c, c] for c in decisions], axis=2)
    flips = design.changes[name].at(slice(None), slice(None), decisions) if design else None
    share = 1.0 if flips is None else np.minimum(flips.plus.share, flips.minus.share)
    pairs = design.changes[name].pairs if design else None

    def limits(level: float) -> tuple[Array, Array, Array]:
        if flips is not None:
            return flips.limits(gained, lost, n[:, :, None], level)
        return change(limits_of(gained, n[:, :, None], level), limits_of(lost, n[:, :, None], level))

    return _cells(
        policy,
        name,
        measures=tuple(tuple(f"change of {item}" for item in label) for label in measures(paired.classes)),
        n=n,
        successes=None,
        limits=limits,
        variance=(gained + lost + 1.0) / (n[:, :, None] + 2.0) / share,
        threshold=threshold,
        effective=None if flips is None else replace(flips.plus, pairs=_pairs_of(pairs, decisions)),
        correction=corrections.of_changes(policy, name, paired.classes),
        rates=2,
    )


def joined_cells(shift: Cells, audited: Cells) -> Cells:
    """Cells of the gap of a model whose reference was audited: the reference's rates and what compression changed.

    Args:
        shift: the changes on the rows at hand; where they are no longer those of a compression they say nothing.
        audited: the rates of the reference on the rows of its audit.
    """

    def limits(level: float) -> tuple[Array, Array, Array]:
        value, lower, upper = shift.limits(level)
        other = np.abs(value) > MOST_CHANGE
        return value, np.where(other, -1.0, lower), np.where(other, 1.0, upper)

    return replace(
        shift,
        limits=limits,
        measures=audited.measures,
        n=np.where(audited.n > 0, shift.n, 0),
        units=np.minimum(shift.units, audited.units),
        audited=audited,
        correction=audited.correction,
    )


def _cells(
    policy: Policy,
    name: str,
    *,
    measures: tuple[tuple[str, ...], ...],
    n: Counts,
    successes: Counts | None,
    limits: Limits,
    variance: Array,
    threshold: float,
    effective: Effective | None,
    correction: Correction | None,
    rates: int = 1,
) -> Cells:
    """More than eight parameters: each is a field of the cells."""
    return Cells(
        attribute=name,
        groups=policy.group_names(name),
        measures=measures,
        n=n,
        successes=successes,
        limits=cache(limits),
        variance=variance,
        threshold=threshold,
        units=n if effective is None else effective.subjects[:, :, 0],
        unit=_unit(policy, effective),
        min_units=policy.cell_rows(threshold),
        rates=rates,
        widening=None if effective is None else effective.pairs,
        correction=correction,
    )


def _unit(policy: Policy, effective: Effective | None) -> str:
    if effective is None:
        return ROWS
    return UNITS[policy.subject_weights] if effective.own is None else LABELLED


def _pick(effective: Effective, decisions: list[int]) -> Effective:
    """The effective sizes of some decisions."""
    found = effective.at(slice(None), slice(None), decisions)
    return replace(found, pairs=_pairs_of(effective.pairs, decisions))


def _pairs_of(pairs: Array | None, decisions: list[int]) -> Array | None:
    return None if pairs is None else pairs[:, :, :, decisions]


def _variance(x: Counts, n: Counts, effective: Effective | None) -> Array:
    """n times the variance of a rate, from one that is a row more and a row less away from 0 and 1."""
    hits = x if effective is None or effective.rate is None else n * effective.rate
    smoothed: Array = (hits + 1.0) / (n + 2.0)
    return smoothed * (1 - smoothed) / (1.0 if effective is None else effective.share)


def compared(classes: Sequence[str]) -> list[int]:
    """Decisions whose rates are compared: class 1 of two (the other rate mirrors it), else all."""
    return [1] if len(classes) == 2 else list(range(len(classes)))


def measures(classes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Names of the compared rates, [labels][decisions]."""
    if len(classes) == 2:
        return (("FPR",), ("TPR",))
    return tuple(tuple(f"P({join((decision, label), '|')})" for decision in classes) for label in classes)
