"""Audit sets that might be drawn, with the decisions of an assumed model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories
from edgefair.data.rows import Rows
from edgefair.decision.decide import ASKED
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.joint import Group
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.measure.planning import Subjects, draw_decisions, draw_tables
from edgefair.workflow.measurement.design import design_of

# Gates that compare with the model before compression.
COMPARING = tuple(key for key in ASKED if key.startswith("max_"))


@dataclass(frozen=True, eq=False)
class Assumed:
    """An assumed model.

    Attributes:
        worse: attribute and group that has the worse rates.
        chance: probability of the reference's and its own decision given the label, for most people and for the worse
            group, [2, labels, decisions, decisions].
    """

    worse: tuple[str, Group]
    chance: NDArray[np.float64]

    def is_worse(self, groups: Sequence[Group], policy: Policy) -> NDArray[np.bool_]:
        """Whether each joint group is part of the worse group."""
        attribute, worse = self.worse
        at = [policy.base_attributes.index(name) for name in policy.attributes_of(attribute)]
        return np.array([tuple(group[index] for index in at) == worse for group in groups])


class Audits(Protocol):
    """Audit sets of any size, as the policy counts them."""

    def draw(self, model: Assumed, size: float, rng: np.random.Generator) -> Evidence:
        """What one of them shows of the model; `size` is relative to the set at hand, or rows per cell."""
        ...


@dataclass(frozen=True, eq=False)
class OwnRows:
    """So many times the rows at hand, in their proportions: int64 [joint groups, labels]."""

    policy: Policy
    counts: GroupCounts

    def draw(self, model: Assumed, size: float, rng: np.random.Generator) -> Evidence:
        """See `Audits`."""
        rows = np.rint(self.counts.table.sum(axis=2) * size).astype(np.int64)
        return _independent(self.policy, self.counts.groups, self.counts.classes, rows, model, rng)


@dataclass(frozen=True, eq=False)
class EqualCells:
    """So many rows in the smallest declared cell, joint groups of equal size."""

    policy: Policy
    classes: tuple[str, ...]
    groups: tuple[Group, ...] = field(init=False)
    members: int = field(init=False)

    def __post_init__(self) -> None:
        policy, base = self.policy, self.policy.base_attributes
        places = {name: [base.index(part) for part in policy.attributes_of(name)] for name in policy.attributes}

        def part(group: Group, name: str) -> Group:
            return tuple(group[index] for index in places[name])

        declared = {name: set(policy.groups(name)) for name in places}
        groups = [group for group in policy.joint_groups if all(part(group, name) in declared[name] for name in places)]
        sizes = [sum(part(group, name) == item for group in groups) for name in places for item in policy.groups(name)]
        object.__setattr__(self, "groups", tuple(sorted(groups)))
        object.__setattr__(self, "members", min(sizes))

    def draw(self, model: Assumed, size: float, rng: np.random.Generator) -> Evidence:
        """See `Audits`."""
        each = int(np.ceil(size / max(self.members, 1)))
        rows = np.full((len(self.groups), len(self.classes)), each)
        return _independent(self.policy, self.groups, self.classes, rows, model, rng)


@dataclass(frozen=True, eq=False)
class OwnSubjects:
    """So many times the subjects at hand, drawn from them with their rows kept whole.

    Attributes:
        icc: correlation of the decisions of a subject's rows.
    """

    policy: Policy
    rows: Rows
    subject: Categories
    classes: tuple[str, ...]
    icc: float
    subjects: Subjects = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "subjects", Subjects.of(self.subject.codes))

    def draw(self, model: Assumed, size: float, rng: np.random.Generator) -> Evidence:
        """See `Audits`."""
        policy, (rows, who) = self.policy, self.subjects.resampled(size, rng)
        sensitive = {name: self.rows.sensitive[name].take(rows) for name in policy.base_attributes}
        label = self.rows.label[rows]
        attribute, group = model.worse
        worse = np.ones(len(rows), dtype=bool)
        for name, value in zip(policy.attributes_of(attribute), group, strict=True):
            column = sensitive[name]
            worse &= np.array([item == value for item in column.values])[column.codes]
        before, after = draw_decisions(who, label, worse, model.chance, icc=self.icc, rng=rng)
        paired = PairedCounts.from_rows(sensitive, label=label, reference=before, candidate=after, classes=self.classes)
        compared = _compares(policy)
        return Evidence(
            counts=paired.candidate,
            paired=paired if compared else None,
            design=design_of(
                policy,
                subject=Categories(("",), who.astype(np.int32)),
                sensitive=sensitive,
                label=label,
                decision=after,
                reference=before if compared else None,
                classes=len(self.classes),
            ),
        )


def _independent(
    policy: Policy,
    groups: tuple[Group, ...],
    classes: tuple[str, ...],
    rows: NDArray[np.int64],
    model: Assumed,
    rng: np.random.Generator,
) -> Evidence:
    table = draw_tables(rows, model.is_worse(groups, policy), model.chance, rng)
    paired = PairedCounts(policy.base_attributes, groups, classes, table)
    return Evidence(counts=paired.candidate, paired=paired if _compares(policy) else None)


def _compares(policy: Policy) -> bool:
    """Whether a gate of the policy compares with the model before compression."""
    return any(getattr(policy, key) is not None for key in COMPARING)
