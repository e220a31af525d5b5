"""Sums over columns that are not in memory as a whole, to the last bit those of numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import SLICE, let_go

Floats = NDArray[np.float64]


def total(
    column: NDArray[Any], of: Callable[[Floats, slice], Floats] = lambda values, _: values, *others: NDArray[Any]
) -> float:
    """`np.sum` of a column as float64, or of what `of` makes of its values in a slice of its rows.

    Args:
        others: columns that `of` reads.

    Rounding depends on the order of the additions. numpy adds pairwise (Higham, SIAM Journal on Scientific Computing
    1993): a sum is that of two halves, the first of which is a multiple of 8.
    """

    def added(start: int, count: int) -> float:
        if count > SLICE:
            half = count // 2 - count // 2 % 8
            return added(start, half) + added(start + half, count - half)
        part = slice(start, start + count)
        found = float(np.add.reduce(of(column[part].astype(np.float64), part)))
        let_go(column, *others)
        return found

    return added(0, len(column))


def variance(column: NDArray[Any], *, by: float = 1.0, ddof: int = 0) -> float:
    """`np.var` of a column as float64, each value divided by a number.

    Args:
        ddof: rows less this are what the sum of squares is divided by; more than that.
    """
    rows = len(column)
    mean = total(column, lambda values, _: values / by) / rows
    return total(column, lambda values, _: (values / by - mean) ** 2) / (rows - ddof)
