"""Effective sample sizes of audit rows that belong to subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories
from edgefair.data.groups import joint_groups
from edgefair.decision.policy import Policy
from edgefair.measure.clusters import Counted, Votes, change_of, pair_widening, votes, widening
from edgefair.measure.design import Change, Design, Effective, Excess
from edgefair.measure.metrics import DIFFERENCES

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


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
    """The design of a measurement, of all that the policy asks for; None where no subject is declared.

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
    rows = _Rows(subject.codes.astype(np.int64), label, decision, reference, classes, policy.subject_weights)
    index = {name: _declared_index(sensitive, policy, name) for name in policy.attributes}
    groups = {name: len(policy.groups(name)) for name in policy.attributes}
    paired = reference is not None
    losing = paired and (policy.max_group_accuracy_drop is not None or policy.max_excess_loss is not None)
    everybody = np.zeros(len(label), dtype=np.int64)
    return Design(
        rates={name: rows.rates(index[name], groups[name]) for name in index},
        changes={name: rows.changes(index[name], groups[name]) for name in index} if paired else {},
        drop=rows.loss(everybody, 1) if paired else None,
        counted=policy.subject_weights,
        balanced={name: rows.balanced(index[name], groups[name]) for name in index},
        metrics={
            name: {
                metric: rows.metric(metric, index[name], groups[name])
                for metric in policy.judged_metrics
                if name in policy.metric_thresholds(metric)
            }
            for name in index
        },
        accuracy={name: rows.accuracy(index[name], groups[name]) for name in index}
        if policy.min_group_accuracy is not None
        else {},
        losses={name: rows.loss(index[name], groups[name]) for name in index} if losing else {},
        excess={name: rows.excess(index[name], groups[name]) for name in index}
        if paired and policy.max_excess_loss is not None
        else {},
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """Audit rows and whom they belong to, int64 [rows] each; `group` below is the index of every row's group."""

    subject: Ints
    label: Ints
    decision: Ints
    reference: Ints | None
    classes: int
    counted: Counted

    def votes(self, event: Bools, cell: Ints, cells: int) -> Votes:
        return votes(event, cell=cell, subject=self.subject, cells=cells, counted=self.counted)

    def rates(self, group: Ints, groups: int) -> Effective:
        """Of r[g, y, c]."""
        found = [self._by_label(self.decision == c, group, groups) for c in range(self.classes)]
        shape = (groups, self.classes)
        pairs = [pair_widening(item, shape) for item in found]
        return _stacked([Effective.of(item, shape) for item in found], pairs)

    def changes(self, group: Ints, groups: int) -> Change:
        """Of the flips towards a class minus those away from it."""
        shape, parts = (groups, self.classes), []
        for c in range(self.classes):
            towards = self._by_label((self.decision == c) & (self.reference != c), group, groups)
            away = self._by_label((self.decision != c) & (self.reference == c), group, groups)
            parts.append((towards, away))
        factors = [_apart(part, groups * self.classes).reshape(shape) for part in parts]
        pairs = [pair_widening(change_of(*part), shape) for part in parts]
        plus, minus = ([Effective.of(part[at], shape) for part in parts] for at in (0, 1))
        return Change(_stacked(plus), _stacked(minus), np.stack(factors, axis=2), _stack(pairs))

    def balanced(self, group: Ints, groups: int) -> NDArray[np.float64]:
        """Of the mean of a group's recalls."""
        recall = self._by_label(self.decision == self.label, group, groups)
        return widening([(recall, 1)], [np.arange(groups * self.classes) // self.classes], groups)

    def accuracy(self, group: Ints, groups: int) -> Effective:
        """Of the accuracy of groups."""
        return Effective.of(self.votes(self.decision == self.label, group, groups), (groups,))

    def metric(self, metric: str, group: Ints, groups: int) -> Effective:
        """Of the rate that a metric compares; rows that it does not count have no cell."""
        positive, chosen = self.label == 1, self.decision == 1
        everybody = np.ones_like(positive)
        event, of = {
            "TPR": (chosen, positive),
            "FPR": (chosen, ~positive),
            "selection rate": (chosen, everybody),
            "precision": (positive, chosen),
            "accuracy": (self.decision == self.label, everybody),
        }[DIFFERENCES[metric]]
        found = self.votes(event, np.where(of, group, -1), groups)
        pairs = pair_widening(found, (groups, 1))
        return Effective.of(found, (groups, 1, 1), pairs=None if pairs is None else pairs[:, :, :, None])

    def loss(self, group: Ints, groups: int) -> Change:
        """Of the rows that compression breaks minus those that it corrects."""
        return _change(self._lost(group, groups), groups)

    def excess(self, group: Ints, groups: int) -> Excess:
        """Of what a group loses beyond all others."""
        own = self._lost(group, groups)
        rest, factors, weights = [], [], []
        for index in range(groups):
            inside = group == index
            mine, others = (self._lost(np.where(of, 0, -1), 1) for of in (inside, ~inside))
            zero = np.zeros(1, dtype=np.int64)
            factors.append(widening([(change_of(*mine), 1), (change_of(*others), -1)], [zero, zero], 1))
            rest.append(_change(others, 1))
            weights.append(self._units(others[0]) / np.maximum(self._units(own[0])[index] + self._units(others[0]), 1))
        return Excess(Change.concatenated(rest), np.concatenate(factors), np.concatenate(weights))

    def _lost(self, group: Ints, groups: int) -> tuple[Votes, Votes]:
        right, was_right = self.decision == self.label, self.reference == self.label
        return self.votes(was_right & ~right, group, groups), self.votes(right & ~was_right, group, groups)

    def _by_label(self, event: Bools, group: Ints, groups: int) -> Votes:
        return self.votes(event, group * self.classes + self.label, groups * self.classes)

    def _units(self, item: Votes) -> Ints:
        return item.subjects if self.counted == "people" else item.rows


def _change(lost: tuple[Votes, Votes], groups: int) -> Change:
    broken, corrected = (Effective.of(item, (groups,)) for item in lost)
    return Change(broken, corrected, _apart(lost, groups))


def _apart(parts: tuple[Votes, Votes], cells: int) -> NDArray[np.float64]:
    """Times how much wider the difference of two rates of the same rows is than that of independent ones."""
    own = np.arange(cells)
    return widening([(parts[0], 1), (parts[1], -1)], [own, own], cells)


def _stacked(parts: list[Effective], pairs: list[NDArray[np.float64] | None] | None = None) -> Effective:
    """Effective sizes of all classes, [groups, labels, classes]."""
    return Effective(
        np.stack([item.share for item in parts], axis=2),
        np.stack([item.subjects for item in parts], axis=2),
        np.stack([item.rate for item in parts if item.rate is not None], axis=2),
        _stack(pairs or []),
    )


def _stack(pairs: list[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    found = [item for item in pairs if item is not None]
    return np.stack(found, axis=3) if found else None


def _declared_index(sensitive: Mapping[str, Categories], policy: Policy, name: str) -> NDArray[np.int64]:
    """Position of every row's group among the policy's groups; rows of undeclared groups are refused by `decide`."""
    index, groups = joint_groups(sensitive, policy.attributes_of(name))
    declared = {group: position for position, group in enumerate(policy.groups(name))}
    return np.array([declared.get(group, 0) for group in groups], dtype=np.int64)[index]
