"""Values in the order of their size, range by range: a sort that holds few of them at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import let_go, slices, stored

# Values that are sorted at a time.
MOST = 1 << 19

Values = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Range:
    """The distinct values of one column between two limits.

    Attributes:
        values: ascending, uint64 [values].
        times: how often each occurs, int64 [values].
    """

    values: Values
    times: NDArray[np.int64]

    def repeated(self) -> Iterator[Values]:
        """Every value as often as it occurs, ascending, some at a time."""
        if int(self.times.sum()) <= MOST:
            yield np.repeat(self.values, self.times)
            return
        for value, times in zip(self.values, self.times.tolist(), strict=True):
            yield from (np.full(part.stop - part.start, value) for part in slices(times, size=MOST))


def in_ranges(*columns: Values) -> Iterator[tuple[Range, ...]]:
    """The values of each column, range after range of all that 64 bits can hold.

    Equal values are in one range. Runs of MOST values are sorted and stored; a range that holds no more of all runs
    together, or one value alone, is sorted in memory. As good as uniform values, as hashes are, make even ranges.
    """
    if sum(map(len, columns)) <= MOST:
        yield tuple(_counted([column]) for column in columns)
    else:
        yield from _ranges([_runs(column) for column in columns], 0, 2**64 - 1)


def different(column: Values) -> int:
    """How many distinct values there are."""
    return sum(len(found.values) for (found,) in in_ranges(column))


def _runs(column: Values) -> list[Values]:
    """Its values in ascending runs."""
    parts = slices(len(column), column, size=MOST)
    ordered = stored(np.uint64, len(column), (np.sort(column[part]) for part in parts))
    return [ordered[part] for part in slices(len(ordered), size=MOST)]


def _ranges(columns: list[list[Values]], low: int, high: int) -> Iterator[tuple[Range, ...]]:
    """As `in_ranges`, of ascending runs of values from `low` to `high`."""
    rows = sum(len(run) for runs in columns for run in runs)
    if rows <= MOST:
        yield tuple(_counted(runs) for runs in columns)
    elif low == high:
        yield tuple(_alike(low, sum(map(len, runs))) for runs in columns)
    else:
        middle = (low + high) // 2
        cut = [[(run, _place(run, middle)) for run in runs] for runs in columns]
        yield from _ranges([[run[:at] for run, at in runs] for runs in cut], low, middle)
        yield from _ranges([[run[at:] for run, at in runs] for runs in cut], middle + 1, high)


def _place(run: Values, middle: int) -> int:
    """How many values of an ascending run are no larger."""
    place = int(np.searchsorted(run, np.uint64(middle), "right"))
    let_go(run)
    return place


def _counted(runs: list[Values]) -> Range:
    ordered, end = np.empty(sum(map(len, runs)), dtype=np.uint64), 0
    for run in runs:
        ordered[end : end + len(run)] = run
        end += len(run)
        let_go(run)
    ordered.sort()
    first = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    return Range(ordered[starts], np.diff(starts, append=len(ordered)))


def _alike(value: int, times: int) -> Range:
    values = np.array([value] if times else [], dtype=np.uint64)
    return Range(values, np.array([times] if times else [], dtype=np.int64))
