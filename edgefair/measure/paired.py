"""Counts of the decisions of two models on the same rows: compression as a paired experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgefair.joint import Group
from edgefair.measure.counts import Coded, GroupCounts, _check, count, counts_json, marginal, merge, parsed_counts

PAIRED_SCHEMA = "edgefair.paired-counts/1"


@dataclass(frozen=True, eq=False)
class PairedCounts:
    """x[g, y, r, c]: rows of joint group g with label y that the reference decides r and the candidate c.

    Attributes:
        attributes, groups, classes: as in `GroupCounts`.
        table: int64 [groups, labels, reference decisions, candidate decisions].
    """

    attributes: tuple[str, ...]
    groups: tuple[Group, ...]
    classes: tuple[str, ...]
    table: NDArray[np.int64]

    def __post_init__(self) -> None:
        _check(self.attributes, self.groups, self.classes, self.table, decisions=2)

    def __add__(self, other: PairedCounts) -> PairedCounts:
        """Merge two sets of rows."""
        groups, table = merge(self, other)
        return PairedCounts(self.attributes, groups, self.classes, table)

    def by(self, *attributes: str) -> PairedCounts:
        """The counts of the groups of some of the attributes."""
        groups, table = marginal(self, attributes)
        return PairedCounts(attributes, groups, self.classes, table)

    @property
    def reference(self) -> GroupCounts:
        """The reference's own counts."""
        return GroupCounts(self.attributes, self.groups, self.classes, self.table.sum(axis=3))

    @property
    def candidate(self) -> GroupCounts:
        """The candidate's own counts."""
        return GroupCounts(self.attributes, self.groups, self.classes, self.table.sum(axis=2))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return counts_json(self, PAIRED_SCHEMA)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PairedCounts:
        """Read back what `to_json` wrote.

        Raises:
            DataError: another schema, or counts that are not whole numbers >= 0.
        """
        return cls(*parsed_counts(data, PAIRED_SCHEMA))

    @classmethod
    def from_rows(
        cls,
        attributes: Mapping[str, Coded | ArrayLike],
        *,
        label: ArrayLike,
        reference: ArrayLike,
        candidate: ArrayLike,
        classes: Sequence[str],
    ) -> PairedCounts:
        """Count rows; the arguments are those of `GroupCounts.from_rows`, with two columns of decisions."""
        axes = [("label", label), ("reference decision", reference), ("candidate decision", candidate)]
        groups, table = count(attributes, axes, classes)
        return cls(tuple(attributes), groups, tuple(classes), table)
