"""Which rows train, validate and audit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.ranges import different
from edgefair.columns.stored import Growing, slices, stored
from edgefair.data.config import DataConfig
from edgefair.data.files.table import Categories
from edgefair.data.hashing import drawn
from edgefair.data.identity.units import unit_keys
from edgefair.data.rows import TableRows
from edgefair.errors import DataError
from edgefair.measure.distinct import distinct

ROLES = ("train", "validation", "audit")

Positions = NDArray[np.int64]


def split_rows(
    config: DataConfig, rows: TableRows, *, column: Categories | None, needed: Collection[str] = ROLES
) -> dict[str, Positions]:
    """Positions of the rows of each role, sorted: int64 [rows of the role].

    A column, where declared, decides; else a draw does. Validation rows come out of the training rows unless the
    column names them. A draw decides about every unit of rows (`unit_keys`) by a hash of it and of the split's seed:
    other rows and their order move nobody, and no unit is on both sides. The seed is not the run's: a model trained
    with one would be judged, under another, on rows that trained it.

    Args:
        column: the split of every row, where it is given: by `data.split.column`, or by the file that it is in.
        needed: roles that must have rows; a model that is only judged needs none that train.

    Raises:
        DataError: a value of the column that is not in the data or that no split takes, a row without a split or
            without a subject, a subject in two splits, or a needed split without rows.
    """
    subject = rows.subject
    if subject is not None and subject.missing():
        raise DataError(
            f"subject column '{config.subject}' has no value in {subject.missing()} rows",
            expected="a subject for every row: otherwise a person may be on both sides of the split",
            fix="fill the column, or omit data.subject",
        )
    unit = _Units(config, rows)
    none = np.zeros(0, dtype=np.int64)
    if column is None:
        everyone = stored(np.int64, len(rows), (np.arange(part.start, part.stop) for part in slices(len(rows))))
        share = config.split.audit_fraction
        train, audit = unit.drawn(everyone, share, salt="audit") if share < 1 else (none, everyone)
        validation = none
    else:
        if config.split.column is not None:
            _check_column(config, column)
        train, validation, audit = (
            _having(column, values) for values in (config.split.train, config.split.validation, config.split.audit)
        )
    if not len(validation) and len(train):
        train, validation = unit.drawn(train, config.validation, salt="validation")
    roles = {"train": train, "validation": validation, "audit": audit}
    for role, positions in roles.items():
        if role in needed and not len(positions):
            units = different(unit.keys)
            together = (
                f"; {units} units of equal rows, subjects or pictures are drawn together (`data.equal_rows: people` "
                "draws every row separately)"
                if units < len(rows)
                else ""
            )
            raise DataError(
                f"no rows are left for the {role} split of {len(rows)} rows, and this command needs some",
                fix="change data.split or data.validation: every row is drawn independently, so a draw from few "
                f"rows may take none{together}",
            )
    if subject is not None:
        _check_subjects(roles, subject)
    return roles


@dataclass(frozen=True, eq=False)
class _Units:
    """What a draw moves as a whole."""

    config: DataConfig
    rows: TableRows

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """Of every row's unit, uint64 [rows]; where nothing is drawn they are not needed, and take long."""
        return unit_keys(self.config, self.rows)

    def drawn(self, positions: Positions, share: float, *, salt: str) -> tuple[Positions, Positions]:
        """The positions that a draw leaves, and those that it takes, about `share` of the units."""
        left, chosen = Growing(np.int64, len(positions)), Growing(np.int64, len(positions))
        for part in slices(len(positions), positions, self.keys):
            here = positions[part]
            hit = drawn(self.keys[here], share, seed=self.config.split.seed, salt=salt)
            left.append(here[~hit])
            chosen.append(here[hit])
        return left.column, chosen.column


def _check_column(config: DataConfig, column: Categories) -> None:
    """Every value that is listed occurs, and every row has a value that is listed: no row is lost unsaid."""
    split, present = config.split, column.present
    listed = [*split.train, *split.validation, *split.audit, *split.unused]
    for value in listed:
        if value not in present:
            raise DataError(
                f"split column '{split.column}' is never '{value}'",
                expected=f"one of its values: {', '.join(present[:20])}",
                fix="set data.split.train and data.split.audit ([] where no row is for that)",
            )
    for value in present:
        if value not in listed:
            rows = int(column.counts[column.values.index(value)])
            raise DataError(
                f"split column '{split.column}' is '{value}' in {rows} rows, which is in no split",
                expected="every value of the column under data.split",
                fix="list it under train, validation or audit, or under data.split.unused",
            )
    if column.missing():
        raise DataError(
            f"split column '{split.column}' has no value in {column.missing()} rows",
            expected="a split for every row",
            fix="fill the column, or remove those rows",
        )


def _having(column: Categories, values: tuple[str, ...]) -> Positions:
    codes = [code for code, value in enumerate(column.values) if value in values]
    found = Growing(np.int64, len(column))
    for part in slices(len(column), column.codes):
        found.append(part.start + np.flatnonzero(np.isin(column.codes[part], codes)))
    return found.column


def _check_subjects(roles: dict[str, Positions], subject: Categories) -> None:
    audited = distinct(subject.codes[roles["audit"]])
    for role in ("train", "validation"):
        shared = np.intersect1d(audited, subject.codes[roles[role]])
        if len(shared):
            raise DataError(
                f"{len(shared)} subjects are in the {role} and the audit split, for example "
                f"'{subject.values[int(shared[0])]}'",
                expected="every subject in one split: a model already knows the people it was trained on",
                fix="let edgefair draw the split (omit data.split.column), or fix the split column",
            )
