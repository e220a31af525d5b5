"""The histograms of one activation, one for each cell of rows, and the range by a method."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.compress.quantization.ranges.coding import Coding, least_error
from edgefair.compress.quantization.ranges.histogram import TINY, Histogram
from edgefair.compress.quantization.recipe import Method

# Of a row's values as many are counted where each only adds to an error; cuts and divergences need them all.
SAMPLE = 4096


class CellHistograms:
    """Histograms over one grid.

    Args:
        low: the smallest of all values that will be added.
        high: the largest of them.
        cell: of every row, int64 [rows]; None where all are of one.
        sampled: whether some of a row's values, evenly spread, stand for all.

    Attributes:
        values: how many were given.
    """

    def __init__(self, low: float, high: float, cell: NDArray[np.int64] | None, *, sampled: bool) -> None:
        self._cell, self._sampled, self.values = cell, sampled, 0
        self._parts = [Histogram(low, high) for _ in range(1 if cell is None else int(cell.max()) + 1)]

    def add(self, value: NDArray[Any], rows: slice) -> None:
        """Count the values of some rows; those whose first axis does not count rows are of the first row's cell."""
        self.values += value.size
        if self._sampled and value.ndim > 1 and value.size > SAMPLE * len(value):
            # An odd distance meets every column of a picture.
            value = value.reshape(len(value), -1)[:, :: value.size // len(value) // SAMPLE | 1]
        if self._cell is None:
            self._parts[0].add(value)
            return
        cell = self._cell[rows]
        if value.ndim == 0 or len(value) % len(cell):
            self._parts[int(cell[0])].add(value)
            return
        cell = np.repeat(cell, len(value) // len(cell))
        for index in np.unique(cell).tolist():
            self._parts[index].add(value[cell == index])

    def range(self, method: Method, percentile: float, coding: Coding) -> tuple[float, float]:
        """See `calibrate`."""
        parts = [item for item in self._parts if item.values]
        low, high = parts[0].low, parts[0].high
        if method == "percentile":
            return parts[0].percentile(percentile)
        if method == "entropy":
            return parts[0].entropy(coding)
        if max(-low, high) < TINY:
            return low, high
        # Of a cell that is zero everywhere no share can be lost.
        sizes = np.array([max(item.mean_square(), TINY) for item in parts])
        counts = np.stack([item.counts for item in parts]).astype(np.float64)
        totals = counts.sum(axis=1)

        def error(low: float, high: float) -> float:
            """The largest of the cells; all of them have one grid, whose middles are coded once."""
            squares = coding.errors(parts[0].middles, low, high)
            return float(((squares * counts).sum(axis=1) / totals / sizes).max())

        return least_error(low, high, error)
