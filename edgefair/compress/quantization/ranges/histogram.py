"""The histogram of values that arrive in parts, on the grid of onnxruntime's calibrators, and the ranges it gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.compress.quantization.ranges.coding import Coding

BINS = 2048
# Codes of a clipped range, in the entropy search.
STEPS = 128
SMALLEST = 1e-4
# Values that are all smaller are taken for zeros: their bins would be narrower than numbers are apart.
TINY = 1e-30

Counts = NDArray[np.int64]


class Histogram:
    """Counts of values in BINS equal bins over [-T, T], T = max(-low, high).

    T is that of all values, which are therefore seen twice: once for their extremes, once to be counted. Whatever is
    counted on a grid chosen before T is known must be shared out over this one, and where two thresholds are almost
    alike that turns the choice between them.

    Args:
        low: the smallest of all values that will be added.
        high: the largest of them.

    Attributes:
        values: how many were added.
        counts: of each bin, int64 [bins].
        middles: of the bins, float64 [bins].
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.values = 0
        self.counts: Counts = np.zeros(BINS, dtype=np.int64)
        self._largest = np.float32(max(-low, high))
        # As np.histogram has them for float32 values.
        self._edges = np.linspace(-self._largest, self._largest, BINS + 1, dtype=np.float32)
        self.middles = (self._edges[:-1].astype(np.float64) + self._edges[1:]) / 2

    def add(self, value: NDArray[np.float32]) -> None:
        """Count values between low and high."""
        self.values += value.size
        if self._largest >= TINY:
            # In single precision, as values on the border of two bins must be counted on the same side of it.
            limits: Any = (-self._largest, self._largest)
            self.counts += np.histogram(value, BINS, range=limits)[0]

    def percentile(self, percentile: float) -> tuple[float, float]:
        """The range without the (100 - percentile) / 2 percent of the values at either end, in whole bins."""
        if self._largest < TINY:
            return self.low, self.high
        below = np.cumsum(self.counts / self.counts.sum())
        cut = (100 - percentile) / 200
        return self._between(int(np.searchsorted(below, cut)), int(np.searchsorted(below, 1 - cut)) + 1)

    def entropy(self, coding: Coding) -> tuple[float, float]:
        """The range [-T, T], cut to what was seen, that loses least when coded in STEPS steps; see `calibrate`."""
        if self._largest < TINY:
            return self.low, self.high
        windows = windows_of(self.counts)
        errors = [self.error(*self._between(*window), coding) for window in windows]
        # The last window is all of it.
        allowed = [window for window, error in zip(windows, errors, strict=True) if error <= errors[-1]]
        return self._between(*best_window(self.counts, allowed))

    def error(self, low: float, high: float, coding: Coding) -> float:
        """Mean squared error of the values as codes of a range; each value counts as the middle of its bin."""
        return float((coding.errors(self.middles, low, high) * self.counts).sum() / self.counts.sum())

    def mean_square(self) -> float:
        """Of the values, each as the middle of its bin."""
        return float((self.middles**2 * self.counts).sum() / self.counts.sum())

    def _between(self, first: int, end: int) -> tuple[float, float]:
        """From the lower edge of one bin to that of another, as far as there are values."""
        return max(self.low, float(self._edges[first])), min(self.high, float(self._edges[min(end, BINS)]))


def windows_of(counts: Counts) -> list[tuple[int, int]]:
    """Bins [first, end) around the middle, of at least STEPS bins, the narrowest first and all of them last."""
    half = len(counts) // 2
    return [(half - size, min(half + size + 1, len(counts))) for size in range(STEPS // 2, half + 1)]


def best_window(counts: Counts, windows: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The window that has the smallest divergence, the first of equal ones.

    The divergence is that of onnxruntime's calibrator, to the last bit of its single precision: of all windows both
    choose alike.

    Args:
        counts: int64 [bins], zero between the two in the middle.
        windows: of `windows_of`.
    """
    return windows[int(np.argmin([_divergence(counts, *window) for window in windows]))]


def _divergence(counts: Counts, first: int, end: int) -> float:
    """KL(p || q): p are the counts with what is outside added at the ends, q the inside coded in STEPS steps."""
    inside = counts[first:end]
    p = inside.copy()
    p[0] += counts[:first].sum()
    p[-1] += counts[end:].sum()
    per_step = len(inside) // STEPS
    steps = inside[: STEPS * per_step].reshape(STEPS, per_step).sum(axis=1)
    steps[-1] += inside[STEPS * per_step :].sum()
    occupied = (p[: STEPS * per_step] != 0).reshape(STEPS, per_step).sum(axis=1)
    q = np.zeros_like(p)
    # What is left over goes to the last step, also where that has no bin to give it to: then it is lost.
    q[: STEPS * per_step] = np.repeat(np.where(occupied > 0, steps // np.maximum(occupied, 1), 0), per_step)
    return _kl(_smooth(p), _smooth(q)) if q.any() else math.inf


def _smooth(counts: Counts) -> NDArray[np.float32]:
    """Counts without a zero: empty bins get SMALLEST, and full ones give it."""
    empty = counts == 0
    given = np.count_nonzero(empty)
    taken = SMALLEST * given / (len(counts) - given)
    result: NDArray[np.float32] = np.where(empty, np.float32(SMALLEST), counts.astype(np.float32) - np.float32(taken))
    return result


def _kl(p: NDArray[np.float32], q: NDArray[np.float32]) -> float:
    """sum p ln(p / q) of two histograms, each first made to sum to one."""
    p, q = p / p.sum(), q / q.sum()
    divergence: Any = (p * np.log(p / q)).sum()
    return float(divergence)
