"""Counts of the decisions of two models on the same rows: compression as a paired experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgefair.measure.counts import GroupCounts
from edgefair.measure.tables.columns import Coded, count
from edgefair.measure.tables.count_table import CountTable

PAIRED_SCHEMA = "edgefair.paired-counts/1"


@dataclass(frozen=True, eq=False)
class PairedCounts(CountTable):
    """x[g, y, r, c]: rows of joint group g with label y that the reference decides r and the candidate c.

    Attributes:
        table: int64 [groups, labels, reference decisions, candidate decisions].
    """

    SCHEMA = PAIRED_SCHEMA
    MODELS = 2

    @property
    def reference(self) -> GroupCounts:
        """The reference's own counts."""
        return GroupCounts(self.attributes, self.groups, self.classes, self.table.sum(axis=3))

    @property
    def candidate(self) -> GroupCounts:
        """The candidate's own counts."""
        return GroupCounts(self.attributes, self.groups, self.classes, self.table.sum(axis=2))

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


def one_sided(table: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that only the candidate decides rightly, and rows that only the reference does: int64 [groups, labels] each.

    Args:
        table: of `PairedCounts`, int64 [groups, labels, reference decisions, candidate decisions].
    """
    label = np.arange(table.shape[1])
    both = table[:, label, label, label]
    return table[:, label, :, label].sum(axis=2).T - both, table[:, label, label].sum(axis=2) - both
