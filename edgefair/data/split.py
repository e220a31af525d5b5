"""Which rows train, validate and audit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.data.config import DataConfig
from edgefair.data.table import Categories
from edgefair.errors import DataError


def split_rows(
    config: DataConfig, *, rows: int, seed: int, column: Categories | None, subject: Categories | None
) -> dict[str, NDArray[np.int64]]:
    """Positions of the rows of each role, sorted: int64 [rows of the role].

    A column, where declared, decides; else a seeded draw does. Validation rows come out of the training rows unless the
    column names them. A drawn split never puts one subject on both sides.

    Raises:
        DataError: a value of the column that is not in the data, a subject in two splits, or a split without rows.
    """
    unit = np.arange(rows) if subject is None else subject.codes.astype(np.int64)
    if column is None:
        audit = _draw(np.arange(rows), unit, config.split.audit_fraction, np.random.default_rng([seed, 1]))
        train = np.setdiff1d(np.arange(rows), audit)
        validation = np.zeros(0, dtype=np.int64)
    else:
        train, validation, audit = (
            _having(column, values, config.split.column or "")
            for values in (config.split.train, config.split.validation, config.split.audit)
        )
    if not len(validation):
        validation = _draw(train, unit, config.validation, np.random.default_rng([seed, 2]))
        train = np.setdiff1d(train, validation)
    roles = {"train": train, "validation": validation, "audit": audit}
    for role, positions in roles.items():
        if not len(positions):
            raise DataError(f"no rows are left for the {role} split of {rows} rows", fix="change data.split")
    if subject is not None:
        _check_subjects(roles, subject)
    return roles


def _having(column: Categories, values: tuple[str, ...], name: str) -> NDArray[np.int64]:
    for value in values:
        if value not in column.present:
            raise DataError(
                f"split column '{name}' never is '{value}'",
                expected=f"one of its values: {', '.join(column.present[:20])}",
                fix="set data.split.train and data.split.audit",
            )
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
