"""Training rows of one file and audit rows of another, as one table."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from edgefair.data.files.csv_table import CsvConfig
from edgefair.data.files.readers import Choose, read_table
from edgefair.data.files.table import MISSING, Categories, Column, Table
from edgefair.errors import DataError


def read_both(
    path: Path, audit: Path, choose: Choose, *, texts: Collection[str] = (), csv: CsvConfig | None = None
) -> tuple[Table, int]:
    """The chosen columns of both files, the audit file's rows last, and how many rows come before them.

    A column that is text in one of the files is text in both, as it stands there.

    Args:
        choose: of the first file's columns; the audit file has the same, in whatever order, and may have others.

    Raises:
        DataError: as `read_table`; a column that the audit file lacks, or that is another kind of thing there.
    """
    first = read_table(path, choose, texts=texts, csv=csv)
    names = list(first.columns)

    def same(found: list[str]) -> list[str]:
        lacking = [name for name in names if name not in found]
        if lacking:
            listed = ", ".join(f"'{name}'" for name in lacking)
            raise DataError(
                f"column{'' if len(lacking) == 1 else 's'} {listed} {'is' if len(lacking) == 1 else 'are'} not in the "
                f"audit file '{audit.name}'",
                expected=f"every column of '{path.name}' that is not excluded",
                fix="add it, or exclude it with data.exclude",
            )
        return names

    second = read_table(audit, same, texts=texts, csv=csv)
    parted = {name for name in names if _other_kind(first.columns[name], second.columns[name])}
    if parted:
        texts = {*texts, *parted}
        first = read_table(path, lambda _: names, texts=texts, csv=csv)
        second = read_table(audit, same, texts=texts, csv=csv)
    columns = {name: _joined(name, first.columns[name], second.columns[name]) for name in names}
    return Table(columns), first.rows


def _other_kind(one: Column, other: Column) -> bool:
    """Whether one is text and the other holds numbers; a column without any value is as either."""
    if isinstance(one, Categories) == isinstance(other, Categories):
        return False
    return bool((one if isinstance(one, Categories) else other).values)  # type: ignore[union-attr]


def _joined(name: str, one: Column, other: Column) -> Column:
    if isinstance(one, Categories) and isinstance(other, Categories):
        values = tuple(dict.fromkeys([*one.values, *other.values]))
        place = {value: code for code, value in enumerate(values)}
        recode = np.array([*(place[value] for value in other.values), MISSING], dtype=np.int32)
        return Categories(values, np.concatenate([one.codes, recode[other.codes]]))
    parts = []
    for column, beside in ((one, other), (other, one)):
        if isinstance(column, np.ndarray):
            parts.append(column)
        elif isinstance(column, Categories) and isinstance(beside, np.ndarray) and not column.values:
            parts.append(np.full((len(column), *beside.shape[1:]), np.nan))
        else:
            raise DataError(
                f"column '{name}' is text in one file and numbers in the other", fix="use the same type in both"
            )
    if parts[0].shape[1:] != parts[1].shape[1:]:
        raise DataError(f"column '{name}' has shape {parts[0].shape[1:]} and, in the audit file, {parts[1].shape[1:]}")
    return np.concatenate(parts)
