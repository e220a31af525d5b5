"""A histogram of values that arrive in parts, over a range that is not known before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Bins on either side of zero. With one width for all, a power of two, neighbours can be merged when the range grows.
HALF = 1 << 14
# Of the entropy search: the histogram that is searched, and the steps that a clipped range is coded in.
SEARCHED = 2048
STEPS = 128
SMALLEST = 1e-4
# Parts whose values are all smaller are taken for zeros.
TINY = 1e-30


class Histogram:
    """Counts of values in bins of width w = 2^k over [-HALF w, HALF w); k grows with the largest value, in one pass."""

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.width = 0.0
        self.counts: NDArray[np.int64] = np.zeros(2 * HALF, dtype=np.int64)
        self._zeros = 0

    @property
    def filled(self) -> bool:
        """Whether any value was added."""
        return self.low <= self.high

    def add(self, value: NDArray[Any], low: float, high: float) -> None:
        """Take in finite values, with the smallest and the largest of them."""
        self.low, self.high = min(self.low, low), max(self.high, high)
        largest = max(-low, high)
        if largest < TINY:
            self._zeros += value.size
            return
        self._widen(largest)
        index = np.multiply(value.ravel(), 1 / self.width, dtype=np.float32)
        index = np.floor(index, out=index).astype(np.intp)
        index += HALF
        self.counts += np.bincount(index, minlength=2 * HALF)

    def _widen(self, largest: float) -> None:
        """Make the bins wide enough for +-largest: neighbours are merged as often as it takes."""
        needed = 2.0 ** (math.floor(math.log2(largest)) + 1) / HALF
        if self.width == 0:
            self.width = needed
        while self.width < needed:
            self.counts = _halved(self.counts)
            self.width *= 2

    def _all_counts(self) -> NDArray[np.int64]:
        counts = self.counts.copy()
        counts[HALF] += self._zeros
        return counts

    def percentile(self, percentile: float) -> tuple[float, float]:
        """The range without the (100 - percentile) / 2 percent of the values at either end, to one bin's width."""
        if self.width == 0:
            return self.low, self.high
        below = np.cumsum(self._all_counts())
        cut = (1 - percentile / 100) / 2 * below[-1]
        low = (int(np.searchsorted(below, cut, side="right")) - HALF) * self.width
        high = (int(np.searchsorted(below, below[-1] - cut, side="left")) + 1 - HALF) * self.width
        return max(self.low, low), min(self.high, high)

    def entropy(self) -> tuple[float, float]:
        """The range [-T, T], cut to what was seen, that loses least when coded in STEPS steps; see `calibrate`."""
        largest = max(-self.low, self.high)
        if largest < TINY:
            return self.low, self.high
        below, above = best_window(self._over(largest))
        return max(self.low, -below * largest), min(self.high, above * largest)

    def _over(self, largest: float) -> NDArray[np.int64]:
        """The same values in SEARCHED bins over [-largest, largest]; a bin on a border is shared in proportion."""
        below = np.concatenate([[0], np.cumsum(self._all_counts())])
        borders = np.arange(-HALF, HALF + 1) * self.width
        shared = np.interp(np.linspace(-largest, largest, SEARCHED + 1), borders, below)
        shared[[0, -1]] = 0, below[-1]
        counts: NDArray[np.int64] = np.diff(np.rint(shared).astype(np.int64))
        return counts


def _halved(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts with neighbours merged, around the same zero."""
    result = np.zeros_like(counts)
    result[HALF // 2 : HALF // 2 + HALF] = counts.reshape(-1, 2).sum(axis=1)
    return result


def best_window(counts: NDArray[np.int64]) -> tuple[float, float]:
    """The shares of the range that are kept below and above zero: the window with the smallest divergence.

    Windows and divergence are those of onnxruntime's calibrator, so that both choose alike.

    Args:
        counts: int64 [bins], zero between the two in the middle.
    """
    half = len(counts) // 2
    sizes = range(STEPS // 2, half + 1)
    lost = [_divergence(counts, half - size, min(half + size + 1, len(counts))) for size in sizes]
    size = sizes[int(np.argmin(lost))]
    return size / half, min(size + 1, half) / half


def _divergence(counts: NDArray[np.int64], start: int, end: int) -> float:
    """KL(p || q): p are the counts with what is outside added at the ends, q the inside coded in STEPS steps."""
    inside = counts[start:end]
    p = inside.copy()
    p[0] += counts[:start].sum()
    p[-1] += counts[end:].sum()
    per_step = len(inside) // STEPS
    steps = inside[: STEPS * per_step].reshape(STEPS, per_step).sum(axis=1)
    steps[-1] += inside[STEPS * per_step :].sum()
    occupied = (p[: STEPS * per_step] != 0).reshape(STEPS, per_step).sum(axis=1)
    q = np.zeros_like(p)
    q[: STEPS * per_step] = np.repeat(steps // np.maximum(occupied, 1), per_step)
    return _kl(_smooth(p), _smooth(q)) if q.any() else math.inf


def _smooth(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Counts without a zero: empty bins get SMALLEST, and full ones give it."""
    empty = counts == 0
    full = len(counts) - int(empty.sum())
    result: NDArray[np.float64] = np.where(empty, SMALLEST, counts - SMALLEST * int(empty.sum()) / max(full, 1))
    return result


def _kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """sum p ln(p / q) of two histograms, each first made to sum to one."""
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())
