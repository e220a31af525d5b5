"""Distinct values, in the time of a sort."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Codes that there may be, as a multiple of the rows, beyond which most occur in none.
SPARSE = 4


def distinct(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """The values in ascending order, each once: `np.unique`, by sorting.

    From numpy 2.3 on that puts them into a hash table instead, which is slower than a sort from some 100,000 distinct
    values on, and ever more so: 2,000,000 took 20 times as long as 200,000.
    """
    ordered = np.sort(values, axis=None)
    return np.asarray(ordered[_first(ordered)])


def counted(values: NDArray[np.generic]) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
    """As `distinct`, and how often there is each: int64 [distinct]."""
    ordered = np.sort(values, axis=None)
    starts = np.flatnonzero(_first(ordered))
    return ordered[starts], np.diff(starts, append=len(ordered))


def compact(codes: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The codes that occur, ascending, and the place of every one among them: `np.unique` with its inverse.

    Args:
        codes: 0 to size - 1, int64 [rows].
    """
    if size > SPARSE * len(codes):
        present, place = np.unique(codes, return_inverse=True)
        return present, place.astype(np.int64, copy=False)
    # In the time of one pass where there are few, not in that of a sort.
    occurs = np.bincount(codes, minlength=size) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[codes]


def _first(ordered: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which values differ from the one before, bool [values]."""
    first = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first
