"""Effective sample sizes of audit rows that belong to subjects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories
from edgefair.data.groups import joint_groups
from edgefair.decision.policy import Policy
from edgefair.measure.clusters import Design, Effective, effective


def design_of(
    policy: Policy,
    *,
    subject: Categories | None,
    sensitive: Mapping[str, Categories],
    label: NDArray[np.int64],
    decision: NDArray[np.int64],
    reference: NDArray[np.int64] | None,
    classes: int,
) -> Design | None:
    """The design of a measurement; None where no subject is declared.

    Args:
        subject: the person that every row belongs to.
        sensitive: attribute -> its value in every row.
        label: int64 [rows].
        decision: the candidate's decisions, int64 [rows].
        reference: the reference's decisions, int64 [rows].
        classes: number of classes.
    """
    if subject is None:
        return None
    unit = subject.codes.astype(np.int64)
    rates, gained, lost = {}, {}, {}
    for name in policy.attributes:
        group = _declared_index(sensitive, policy, name)
        cell = group * classes + label
        shape = (len(policy.groups(name)), classes)
        rates[name] = _by_class([decision == c for c in range(classes)], cell, unit, shape)
        if reference is not None:
            towards = [(decision == c) & (reference != c) for c in range(classes)]
            away = [(decision != c) & (reference == c) for c in range(classes)]
            gained[name] = _by_class(towards, cell, unit, shape)
            lost[name] = _by_class(away, cell, unit, shape)
    if reference is None:
        return Design(rates=rates, gained=gained, lost=lost)
    right, was_right = decision == label, reference == label
    everybody = np.zeros(len(label), dtype=np.int64)
    return Design(
        rates=rates,
        gained=gained,
        lost=lost,
        mended=effective(right & ~was_right, cell=everybody, subject=unit, cells=1),
        spoiled=effective(was_right & ~right, cell=everybody, subject=unit, cells=1),
    )


def _declared_index(sensitive: Mapping[str, Categories], policy: Policy, name: str) -> NDArray[np.int64]:
    """Position of every row's group among the policy's groups; rows of undeclared groups are refused by `decide`."""
    index, groups = joint_groups(sensitive, policy.attributes_of(name))
    declared = {group: position for position, group in enumerate(policy.groups(name))}
    return np.array([declared.get(group, 0) for group in groups], dtype=np.int64)[index]


def _by_class(
    events: list[NDArray[np.bool_]], cell: NDArray[np.int64], subject: NDArray[np.int64], shape: tuple[int, int]
) -> Effective:
    found = [effective(event, cell=cell, subject=subject, cells=shape[0] * shape[1]) for event in events]
    return Effective(
        share=np.stack([item.share.reshape(shape) for item in found], axis=2),
        subjects=np.stack([item.subjects.reshape(shape) for item in found], axis=2),
    )
