"""Counts of decisions by group and label: everything a fairness verdict is a function of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import ArrayLike

from edgefair.errors import DataError
from edgefair.files import write_atomic
from edgefair.measure.tables.columns import Coded, count
from edgefair.measure.tables.count_table import CountTable
from edgefair.probe.regular import read_regular

COUNTS_SCHEMA = "edgefair.counts/1"


@dataclass(frozen=True, eq=False)
class GroupCounts(CountTable):
    """x[g, y, c]: rows of joint group g with label y and decision c.

    Attributes:
        table: int64 [groups, labels, decisions].
    """

    SCHEMA = COUNTS_SCHEMA
    MODELS = 1

    @classmethod
    def merge(cls, parts: Iterable[GroupCounts]) -> GroupCounts:
        """The counts of a stream of batches, or of shards, as if counted in one pass.

        Raises:
            DataError: no part at all, or parts of other attributes or classes.
        """
        stream = iter(parts)
        total = next(stream, None)
        if total is None:
            raise DataError("there are no counts to merge", expected="at least one part")
        for part in stream:
            total = total + part
        return total

    def save(self, path: Path) -> None:
        """Write the counts as JSON, whole or not at all."""
        write_atomic(path, json.dumps(self.to_json()).encode())

    @classmethod
    def load(cls, path: Path) -> GroupCounts:
        """Read what `save` wrote.

        Raises:
            DataError: not a file of counts.
        """
        try:
            content = json.loads(read_regular(path))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"'{path}' holds no counts: {error}", expected=COUNTS_SCHEMA) from error
        return cls.from_json(content)

    @classmethod
    def from_rows(
        cls,
        attributes: Mapping[str, Coded | ArrayLike],
        *,
        label: ArrayLike,
        decision: ArrayLike,
        classes: Sequence[str],
    ) -> GroupCounts:
        """Count rows.

        Args:
            attributes: attribute -> its value in every row, coded or as text [rows].
            label: int [rows], index into `classes`.
            decision: int [rows], index into `classes`.
            classes: names of the classes.

        Raises:
            DataError: a missing group, or a label or decision that is not an index into the classes.
        """
        groups, table = count(attributes, [("label", label), ("decision", decision)], classes)
        return cls(tuple(attributes), groups, tuple(classes), table)
