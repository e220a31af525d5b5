"""Rows that are counted several times: equal rows of the audit split."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.ranges import in_ranges
from edgefair.columns.stored import Growing, slices, taken
from edgefair.data.config import EqualRowsRule
from edgefair.data.files.table import Categories
from edgefair.data.hashing import hash_categories, joint
from edgefair.data.rows import TableRows
from edgefair.errors import DataError

# Of a (group, label) cell: more repeated rows than this share, and so many, decide about its limits.
MATERIAL, LEAST = 0.05, 5

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class EqualRows:
    """How many audit rows equal another one.

    Attributes:
        rows: audit rows.
        repeated: rows minus different rows.
        rule: what `data.equal_rows` says of them.
    """

    rows: int
    repeated: int
    rule: EqualRowsRule

    @property
    def note(self) -> str | None:
        """A sentence for the report, None where no row is repeated."""
        if not self.repeated:
            return None
        why = {
            "people": "data.equal_rows: people declares them different people who share their answers",
            "refuse": f"no (group, label) cell has more than {MATERIAL:.0%} of them",
            "once": f"copies in every column are dropped, and no (group, label) cell has more than {MATERIAL:.0%} of "
            "those that are left",
        }[self.rule]
        return (
            f"{self.repeated:,} of {self.rows:,} audit rows ({self.repeated / self.rows:.1%}) repeat another one in "
            f"everything that the model sees, label and group: {why}"
        )


def check_equal_rows(
    rows: TableRows,
    *,
    features: Collection[str],
    attributes: Collection[str],
    label: str,
    classes: tuple[str, ...],
    rule: EqualRowsRule,
) -> EqualRows:
    """Count audit rows that are equal in some features, label and attributes, and refuse them where they are material.

    With a subject only equal rows of different subjects are: those of one do not count as several people.

    Args:
        features, attributes: columns that make rows different.
        label: the column of the label.

    Raises:
        DataError: repeated rows decide about a cell, and nothing says what they are.
    """
    repeated, cell = repeated_rows(rows, features=features, attributes=attributes, label=label, classes=classes)
    found = EqualRows(len(rows), repeated, rule)
    if rule != "people" and cell is not None:
        raise _material(found, cell)
    return found


def repeated_rows(
    rows: TableRows, *, features: Collection[str], attributes: Collection[str], label: str, classes: tuple[str, ...]
) -> tuple[int, str | None]:
    """How many rows repeat another one in some features, label and attributes, and the cell in which they are most of
    all, in words; None where they are material in none."""
    columns = {*features, *attributes, label}
    repeated = len(rows) - rows.different(columns)
    return repeated, _worst_cell(rows, rows.hashes_of(columns), attributes, classes) if repeated else None


def _worst_cell(rows: TableRows, hashes: Hashes, attributes: Collection[str], classes: tuple[str, ...]) -> str | None:
    alike = _repeated(hashes)
    own, label = taken(hashes, alike), taken(rows.label, alike)
    counted = np.flatnonzero(label >= 0)
    if rows.subject is not None:
        counted = np.unique(joint(own, hash_categories(rows.subject.take(alike))), return_index=True)[1]
        counted = counted[label[counted] >= 0]
    extra = np.ones(len(counted), dtype=bool)
    extra[np.unique(own[counted], return_index=True)[1]] = False
    copies = np.delete(np.arange(len(alike)), counted)
    copies = copies[label[copies] >= 0]
    worst: tuple[float, str] | None = None
    for name in attributes:
        column = rows.sensitive[name]
        size = len(column.values) * len(classes)
        cell = column.take(alike).codes * len(classes) + label
        cells = _cells(rows, column, len(classes)) - np.bincount(cell[copies], minlength=size)
        repeated = np.bincount(cell[counted[extra]], minlength=size)
        for index in np.flatnonzero((repeated >= LEAST) & (repeated > MATERIAL * cells)).tolist():
            share = float(repeated[index] / cells[index])
            if worst is None or share > worst[0]:
                group, of = column.values[index // len(classes)], classes[index % len(classes)]
                worst = share, f"{repeated[index]:,} of {cells[index]:,} with {name} '{group}' and label '{of}'"
    return None if worst is None else worst[1]


def _repeated(hashes: Hashes) -> NDArray[np.int64]:
    """Positions of the rows whose hash another row has too, ascending."""
    several = Growing(np.uint64, len(hashes) // 2)
    for (found,) in in_ranges(hashes):
        several.append(found.values[found.times > 1])
    known, alike = several.column, Growing(np.int64, len(hashes))
    for part in slices(len(hashes), hashes, known):
        here = hashes[part]
        place = np.minimum(np.searchsorted(known, here), len(known) - 1)
        alike.append(part.start + np.flatnonzero(known[place] == here))
    return alike.column


def _cells(rows: TableRows, column: Categories, classes: int) -> NDArray[np.int64]:
    """How many rows with a label have each group and label, labels fastest: int64 [groups * classes]."""
    total = np.zeros(len(column.values) * classes, dtype=np.int64)
    for part in slices(len(rows), column.codes, rows.label):
        codes, label = column.codes[part], rows.label[part]
        there = label >= 0
        total += np.bincount(codes[there] * classes + label[there], minlength=len(total))
    return total


def _material(found: EqualRows, cell: str) -> DataError:
    return DataError(
        f"{found.repeated:,} of {found.rows:,} audit rows repeat another one in every feature, label and group, most "
        f"among {cell}",
        expected=f"at most {MATERIAL:.0%} of a cell: a row that is counted several times narrows the confidence "
        "limits as if it were other people",
        fix="declare what they are: `data.equal_rows: people` if different people share their answers, `once` "
        "if they are "
        "copies (a join that repeated rows), of which one is judged then; to init, --equal-rows people or once"
        if found.rule == "refuse"
        else "these copies differ in what the model does not see or the policy does not judge: take such columns out "
        "of data.features and data.sensitive",
    )


def one_of_each(rows: TableRows) -> NDArray[np.int64]:
    """Positions of one row of every content, sorted: int64; whatever the order of the rows, the same ones."""
    tie = np.zeros(len(rows), dtype=np.uint64) if rows.ids is None else hash_categories(rows.ids)
    order = np.lexsort((tie, rows.row_hashes))
    return np.sort(order[np.unique(rows.row_hashes[order], return_index=True)[1]])
