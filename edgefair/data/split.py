"""Which rows train, validate and audit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from edgefair.data.config import DataConfig
from edgefair.data.table import Categories
from edgefair.errors import DataError


def split_rows(
    config: DataConfig,
    *,
    rows: int,
    column: Categories | None,
    subject: Categories | None,
    twins: NDArray[np.uint64] | None = None,
) -> dict[str, NDArray[np.int64]]:
    """Positions of the rows of each role, sorted: int64 [rows of the role].

    A column, where declared, decides; else a draw does. Validation rows come out of the training rows unless the
    column names them. Draws use the seed of the split and not the run's: a model trained with one seed would be judged,
    under another, on rows that trained it. A drawn split never puts one subject, or equal pictures, on both sides.

    Args:
        twins: a hash of each row's pictures, uint64 [rows]: equal ones are the same picture.

    Raises:
        DataError: a value of the column that is not in the data or that no split takes, a row without a split or
            without a subject, a subject in two splits, or a split without rows.
    """
    if subject is not None and subject.missing():
        raise DataError(
            f"subject column '{config.subject}' has no value in {subject.missing()} rows",
            expected="a subject for every row: else nobody knows whether a person is on both sides of the split",
            fix="fill the column, or leave data.subject out",
        )
    unit = _units(rows, subject, twins)
    if column is None:
        audit = _draw(np.arange(rows), unit, config.split.audit_fraction, np.random.default_rng([config.split.seed, 1]))
        train = np.setdiff1d(np.arange(rows), audit)
        validation = np.zeros(0, dtype=np.int64)
    else:
        _check_column(config, column)
        train, validation, audit = (
            _having(column, values) for values in (config.split.train, config.split.validation, config.split.audit)
        )
    if not len(validation):
        validation = _draw(train, unit, config.validation, np.random.default_rng([config.split.seed, 2]))
        train = np.setdiff1d(train, validation)
    roles = {"train": train, "validation": validation, "audit": audit}
    for role, positions in roles.items():
        if not len(positions):
            raise DataError(f"no rows are left for the {role} split of {rows} rows", fix="change data.split")
    if subject is not None:
        _check_subjects(roles, subject)
    return roles


def _units(rows: int, subject: Categories | None, twins: NDArray[np.uint64] | None) -> NDArray[np.int64]:
    """What a draw moves as a whole, int64 [rows]: subjects, and those that share a picture with another."""
    unit = np.arange(rows) if subject is None else subject.codes.astype(np.int64)
    if twins is None:
        return unit
    picture = np.unique(twins, return_inverse=True)[1] + int(unit.max()) + 1
    edges = csr_array((np.ones(rows, dtype=bool), (unit, picture)), shape=(int(picture.max()) + 1,) * 2)
    joined: NDArray[np.int64] = connected_components(edges, directed=False)[1].astype(np.int64)[unit]
    return joined


def _check_column(config: DataConfig, column: Categories) -> None:
    """Every value that is listed occurs, and every row has a value that is listed: no row is lost unsaid."""
    split, present = config.split, column.present
    listed = [*split.train, *split.validation, *split.audit, *split.unused]
    for value in listed:
        if value not in present:
            raise DataError(
                f"split column '{split.column}' never is '{value}'",
                expected=f"one of its values: {', '.join(present[:20])}",
                fix="set data.split.train and data.split.audit",
            )
    for value in present:
        if value not in listed:
            rows = int(np.count_nonzero(column.codes == column.values.index(value)))
            raise DataError(
                f"split column '{split.column}' is '{value}' in {rows} rows, which no split takes",
                expected="every value of the column under data.split",
                fix="list it under train, validation or audit, or under data.split.unused",
            )
    if column.missing():
        raise DataError(
            f"split column '{split.column}' has no value in {column.missing()} rows",
            expected="a split for every row",
            fix="fill the column, or remove those rows",
        )


def _having(column: Categories, values: tuple[str, ...]) -> NDArray[np.int64]:
    codes = [code for code, value in enumerate(column.values) if value in values]
    return np.flatnonzero(np.isin(column.codes, codes))


def _draw(
    rows: NDArray[np.int64], unit: NDArray[np.int64], share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """About `share` of the rows, whole units (subjects) at a time, sorted."""
    units = np.unique(unit[rows])
    chosen = rng.permutation(units)[: round(share * len(units))]
    return rows[np.isin(unit[rows], chosen)]


def _check_subjects(roles: dict[str, NDArray[np.int64]], subject: Categories) -> None:
    audited = np.unique(subject.codes[roles["audit"]])
    for role in ("train", "validation"):
        shared = np.intersect1d(audited, subject.codes[roles[role]])
        if len(shared):
            raise DataError(
                f"{len(shared)} subjects are in the {role} and the audit split, for example "
                f"'{subject.values[int(shared[0])]}'",
                expected="every subject in one split: a model knows the people it was trained on",
                fix="let edgefair draw the split (leave data.split.column out), or mend the split column",
            )
