"""Distinct values, in the time of a sort."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import slices, stored

Value = TypeVar("Value", bound=np.generic)

# Codes that there may be, as a multiple of the rows, beyond which most occur in none.
SPARSE = 4


def distinct(values: NDArray[Value]) -> NDArray[Value]:
    """The values in ascending order, each once: `np.unique`, by sorting.

    From numpy 2.3 on that puts them into a hash table instead, which is slower than a sort from some 100,000 distinct
    values on, and ever more so: 2,000,000 took 20 times as long as 200,000.
    """
    ordered = np.sort(values, axis=None)
    first = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return np.asarray(ordered[first])


def compact(codes: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The codes that occur, ascending, and the place of every one among them: `np.unique` with its inverse.

    Args:
        codes: 0 to size - 1, int64 [rows].
    """
    if size > SPARSE * len(codes):
        present, place = np.unique(codes, return_inverse=True)
        return present, place.astype(np.int64, copy=False)
    # In the time of one pass where there are few, not in that of a sort.
    occurs = np.zeros(size, dtype=np.bool_)
    for part in slices(len(codes), codes):
        occurs[codes[part]] = True
    if occurs.all():
        return np.arange(size), codes
    places = np.cumsum(occurs) - 1
    parts = (places[codes[part]] for part in slices(len(codes), codes))
    return np.flatnonzero(occurs), stored(np.int64, len(codes), parts)
