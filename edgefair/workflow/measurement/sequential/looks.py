"""In which order a sequential measurement takes the audit rows, and where it looks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.config import Config
from edgefair.data.groups import joint_groups
from edgefair.data.hashing import hash_categories, mix, numbered, text_hash
from edgefair.data.rows import TableRows
from edgefair.errors import UsageError
from edgefair.measure.sequential.levels import FRACTIONS, LOOKS, Level, levels
from edgefair.measure.sequential.looks import Looks, units_at
from edgefair.workflow.measurement.records.rows import RecordedRows

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
# Levels that special functions do not tell from 0: a look there shows nothing.
LEAST_LEVEL = 1e-10


@dataclass(frozen=True, eq=False)
class Look:
    """One look: its number from 1, the rows and units (subjects, or rows) that it has, and what it may err by."""

    number: int
    rows: int
    units: int
    level: Level


@dataclass(frozen=True, eq=False)
class LookPlan:
    """Where a sequential measurement looks.

    Attributes:
        order: positions of all audit rows in the order in which they are measured, int64 [rows].
        looks: with ever more rows; the last has all.
        levels: what PASS may err by at each of the `LOOKS`.
    """

    order: Ints
    looks: tuple[Look, ...]
    levels: tuple[float, ...]

    def at(self, rows: int) -> Look:
        """The look that has so many rows."""
        (found,) = (look for look in self.looks if look.rows == rows)
        return found

    def told(self, look: Look) -> Looks:
        """What a report says of the look that was the last."""
        all_of = self.looks[-1]
        return Looks(look.number, FRACTIONS, self.levels, look.rows, all_of.rows, look.units, all_of.units)


def first_rows(rows: RecordedRows, count: int) -> RecordedRows:
    """Labels, groups and subjects of the first rows alone; the digests remain those of all."""
    if count == len(rows.label):
        return rows
    chosen = np.arange(count)
    return dataclasses.replace(
        rows,
        label=rows.label[:count],
        sensitive={name: column.take(chosen) for name, column in rows.sensitive.items()},
        ids=None,
        subject=None if rows.subject is None else rows.subject.take(chosen),
    )


def check_sequential(config: Config, *, recorded: bool = False, audited: bool = False, auditing: bool = False) -> None:
    """Refuse what has no limits over several looks, and files of all rows (UsageError).

    Args:
        recorded: whether the measurements shall become a record.
        audited: whether an audit of the reference shall be joined.
        auditing: whether the counts shall become the audit of a reference.
    """
    if config.data.label_design is not None:
        raise UsageError(
            "--sequential with data.label_design",
            expected="one of them: decisions cost nothing where labels are few, and rows are weighted by whole strata",
        )
    if audited:
        raise UsageError(
            "--sequential with --reference-audit",
            expected="one of them: the rows of the audited reference come all at once, and looks share none of them",
        )
    if recorded:
        raise UsageError(
            "--sequential with --record",
            expected="one of them: a record is judged by any policy as if its rows had been measured at once, and what "
            "ended a sequential measurement were the decisions themselves",
        )
    if auditing:
        raise UsageError(
            "--sequential with --write-reference-audit",
            expected="one of them: the audit of a reference is of rows that no decision of its own has picked",
        )
    if config.policy.audit == "sealed":
        raise UsageError(
            "--sequential with policy.audit: sealed",
            expected="one of them: which look was the last would tell more of sealed rows than one bit",
        )
    if config.policy.errors.audited is not None:
        raise UsageError(
            "--sequential with policy.errors.audited",
            expected="one of them, or rates that are declared: what limits of the rates spend, looks cannot share",
        )
    if config.policy.rule == "point":
        raise UsageError(
            "--sequential with policy.rule: point",
            expected="rule: bound: estimates have no error that several looks could share",
        )
    if config.data.subject is not None and config.policy.subject_weights == "rows":
        raise UsageError(
            "--sequential with data.subject and policy.subject_weights: rows",
            expected="subject_weights: people: where subjects of many rows weigh more, nobody knows beforehand which "
            "share of what can be known a look has",
        )


def plan_looks(rows: TableRows, config: Config) -> LookPlan:
    """Looks at rows in an order that the seed and the rows' content fix, not their order.

    Every look has the same share of every (group, label) cell of all declared attributes, to a row, and the rows of a
    cell come in random order. A subject's rows stay together, and count for the cell that most of them are in.
    """
    index, _ = joint_groups(rows.sensitive, config.policy.base_attributes)
    cell = index * (int(rows.label.max()) + 1) + rows.label
    salt = text_hash(f"{config.seed} looks")
    if rows.subject is None:
        # Rows of equal content are different people all the same, and must not come in one lump.
        ids = numbered(rows.row_hashes) if rows.ids is None else hash_categories(rows.ids)
        order = _interleaved(cell, mix(ids + salt))
        units = np.arange(1, len(order) + 1)
    else:
        _, first, subject = np.unique(rows.subject.codes, return_index=True, return_inverse=True)
        own = _most_common(subject, cell)
        found = _interleaved(own, mix(hash_categories(rows.subject)[first] + salt))
        place = np.empty_like(found)
        place[found] = np.arange(len(found))
        order = np.argsort(place[subject], kind="stable").astype(np.int64)
        units = place[subject][order] + 1
    return LookPlan(order, *_looks(units, config.policy.alpha))


def _looks(units: Ints, alpha: float) -> tuple[tuple[Look, ...], tuple[float, ...]]:
    """Looks that have something to show beyond those before; `units`: how many a prefix of the rows has, [rows]."""
    planned = levels(alpha)
    looks: dict[int, Look] = {}
    for number, level in enumerate(planned, start=1):
        wanted = units_at(number, int(units[-1]))
        end = int(np.searchsorted(units, wanted, side="right"))
        if level.passing >= LEAST_LEVEL or number == LOOKS:
            looks[end] = Look(number, end, wanted, level)
    return tuple(looks.values()), tuple(level.passing for level in planned)


def _interleaved(cell: Ints, key: Hashes) -> Ints:
    """Positions such that every prefix has the same share of every cell, int64 [units].

    Systematic sampling with a random start: unit r of n of a cell, by its key, stands at (r + u) / n of the way, with
    u in [0, 1) of the cell's own. Cells of one unit are spread evenly too.
    """
    order = np.lexsort((key, cell))
    size = np.bincount(cell)[cell[order]]
    start = np.flatnonzero(np.diff(cell[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(start, np.diff(np.append(start, len(order))))
    shift = np.repeat(mix(key[order[start]] ^ text_hash("start")) / 2.0**64, np.diff(np.append(start, len(order))))
    return np.asarray(order[np.lexsort((key[order], (rank + shift) / size))], dtype=np.int64)


def _most_common(subject: Ints, cell: Ints) -> Ints:
    """The cell of most rows of every subject, int64 [subjects]."""
    pairs, rows = np.unique(np.stack([subject, cell]), axis=1, return_counts=True)
    owner, of = pairs.astype(np.int64)
    order = np.lexsort((-rows, owner))
    first = np.flatnonzero(np.diff(owner[order], prepend=-1))
    return np.asarray(of[order[first]], dtype=np.int64)
