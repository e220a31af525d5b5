"""Numbers of features: finite, or missing where something stands in for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import slices, stored
from edgefair.data.config import MissingRule
from edgefair.data.files.table import Table
from edgefair.errors import DataError


def finite(table: Table, features: tuple[str, ...], *, missing: MissingRule) -> Table:
    """The table with the numbers of features as float32.

    Args:
        missing: `refuse`, or something stands in for a missing number, which is NaN; never for a part of an array.

    Raises:
        DataError: one that is not finite.
    """
    columns = dict(table.columns)
    for name in features:
        column = columns[name]
        if not isinstance(column, np.ndarray):
            continue
        if column.dtype.kind not in "iuf":
            raise DataError(f"feature '{name}' has type {column.dtype}", expected="numbers or text")
        numbers = _as_float32(column) if column.ndim == 1 or column.dtype.kind == "f" else column
        _check_finite(name, numbers, missing)
        columns[name] = numbers
    return Table(columns)


def _as_float32(column: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        if column.dtype == np.float32 or column.ndim > 1:
            return column.astype(np.float32, copy=False)
        rows = len(column)
        return stored(np.float32, rows, (column[part].astype(np.float32) for part in slices(rows, column)))


def _check_finite(name: str, numbers: NDArray[Any], missing: MissingRule) -> None:
    filled = missing != "refuse" and numbers.ndim == 1
    bad = sum(_not_finite(numbers[part], filled=filled) for part in slices(len(numbers), numbers))
    if not bad:
        return
    stand_in = "set `data.missing: median`, and that of the training rows is imputed for a missing number in the "
    stand_in += "exported file, or exclude the column with data.exclude"
    raise DataError(
        f"feature '{name}' is {'' if filled else 'NaN, empty or '}infinite (as float32) in {bad} rows",
        expected="a finite number in every row",
        fix=stand_in if np.isnan(numbers).any() and numbers.ndim == 1 and not filled else "fix or exclude the column",
    )


def _not_finite(numbers: NDArray[Any], *, filled: bool) -> int:
    """How many rows have an infinite number, or, where none is filled, a missing one."""
    good = np.isfinite(numbers) | (np.isnan(numbers) if filled else False)
    return int(np.count_nonzero(~good.reshape(len(numbers), -1).all(axis=1)))
