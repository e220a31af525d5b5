"""Columns as text: their values compared, merged, and rows chosen by them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories, Column, Table
from edgefair.errors import DataError, did_you_mean
from edgefair.probe.features import plain_text


def rows_where(table: Table, where: Mapping[str, tuple[str, ...]]) -> NDArray[np.bool_]:
    """Which rows have, in every column, one of the values: bool [rows].

    Raises:
        DataError: a value that the column does not have.
    """
    chosen = np.ones(table.rows, dtype=bool)
    for name, values in where.items():
        column = declared(table.columns[name], name)
        for value in values:
            if value not in column.values:
                raise DataError(
                    f"column '{name}' is never '{value}'{did_you_mean(value, column.values)}",
                    expected=f"one of {', '.join(column.present[:20])}",
                )
        codes = [code for code, value in enumerate(column.values) if value in values]
        chosen &= np.isin(column.codes, codes)
    return chosen


def merged(name: str, column: Categories, groups: Mapping[str, Collection[str]]) -> Categories:
    """A column with the values of `data.merge` put together.

    Args:
        groups: new value -> the values that it stands for.

    Raises:
        DataError: a value that the column does not have, or that belongs to two.
    """
    new_name: dict[str, str] = {}
    plain = column.plain()
    for new, values in groups.items():
        for value in values:
            if value not in plain.values:
                raise DataError(
                    f"data.merge: column '{name}' is never '{value}'{did_you_mean(value, column.values)}",
                    expected=f"one of {', '.join(column.present[:20])}",
                )
            if value in new_name:
                raise DataError(f"data.merge: '{value}' of column '{name}' is merged into two values")
            new_name[value] = new
    return column.renamed([new_name.get(plain_text(value), value) for value in column.values])


def declared(column: Column, name: str) -> Categories:
    """A column whose values the config or the policy names, in the one spelling of each.

    Raises:
        DataError: its cells are pictures or arrays.
    """
    return as_categories(column, name).plain()


def as_categories(column: Column, name: str) -> Categories:
    """A column as text.

    Raises:
        DataError: its cells are pictures or arrays.
    """
    if isinstance(column, Categories):
        return column
    if isinstance(column, LazyColumn) or column.ndim != 1:
        raise DataError(f"column '{name}' holds pictures or arrays", expected="one value per row")
    return Categories.of(column)
