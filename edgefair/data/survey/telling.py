"""Features that give the label away: what is written down only after the outcome is known tells it all too well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories, Column
from edgefair.measure.distinct import distinct

# Balanced accuracy of one column alone, from which on somebody should ask whether it is known when the model decides.
TELLING = 0.95
# Rows of a value below which it is put together with others: a value of one row is always right.
LEAST_ROWS = 5
BINS = 64


def tells_label(column: Column, label: NDArray[np.integer], classes: int) -> float | None:
    """Balanced accuracy of the best rule that sees nothing but this column; None for pictures, texts and arrays.

    The rule decides every value (of numbers: every one of `BINS` ranges of about as many rows; a missing one is a value
    too) for the class y with the largest n[value, y] / n[y], and is tried on the rows that made it.

    Args:
        label: index of every row's class, [rows].
    """
    if not len(label):
        return None
    if isinstance(column, Categories):
        bins = column.codes.astype(np.int64) + 1
    elif isinstance(column, np.ndarray) and column.ndim == 1:
        bins = _ranges(column)
    else:
        return None
    counts = np.zeros((int(bins.max(initial=0)) + 1, classes))
    np.add.at(counts, (bins, label), 1)
    rare = counts.sum(axis=1) < LEAST_ROWS
    counts = np.vstack([counts[~rare], counts[rare].sum(axis=0)])
    rows = counts.sum(axis=0)
    shares = counts[:, rows > 0] / rows[rows > 0]
    return float(shares.max(axis=1).sum() / shares.shape[1])


def _ranges(column: NDArray[np.generic]) -> NDArray[np.int64]:
    """The range of every number, from 1 on; 0 for what is none."""
    known = np.isfinite(column)
    values = distinct(column[known])
    edges = values if len(values) <= BINS else np.unique(np.quantile(column[known], np.linspace(0, 1, BINS + 1)[:-1]))
    return np.where(known, np.searchsorted(edges, np.where(known, column, 0), side="right"), 0).astype(np.int64)
