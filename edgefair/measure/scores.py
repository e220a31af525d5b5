"""Metrics of rows that carry weights or scores: not functions of counts, so they have no verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from edgefair.errors import DataError


def weighted_equalized_odds_difference(
    group: ArrayLike, *, label: ArrayLike, decision: ArrayLike, weight: ArrayLike
) -> float | None:
    """Equalized-odds difference of weighted rates: sum of weights of decision c over that of the cell (g, y).

    Args:
        group: any values [rows].
        label, decision: class indices [rows].
        weight: finite, >= 0 [rows].

    Raises:
        DataError: weights that are NaN, infinite or negative, or columns of unequal length.
    """
    weights = np.asarray(weight, dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        bad = int(np.count_nonzero(~np.isfinite(weights) | (weights < 0)))
        raise DataError(f"{bad} weights are NaN, infinite or negative", expected="finite weights, 0 or more")
    _, groups = np.unique(np.asarray(group), return_inverse=True)
    y, c = np.asarray(label), np.asarray(decision)
    if not len(groups) == len(y) == len(c) == len(weights):
        raise DataError(f"columns of unequal length: {len(groups)}, {len(y)}, {len(c)}, {len(weights)} rows")
    classes = int(max(y.max(), c.max())) + 1
    table = np.zeros((groups.max() + 1, classes, classes))
    np.add.at(table, (groups, y, c), weights)
    total = table.sum(axis=2, keepdims=True)
    return float(np.ptp(table / total, axis=0).max()) if (total > 0).all() else None


def auc_by_group(score: ArrayLike, *, label: ArrayLike, group: ArrayLike) -> dict[str, float | None]:
    """Area under the ROC curve of each group: P(score of a positive > score of a negative) + P(equal) / 2.

    By ranks (Mann & Whitney, 1947). None for a group that lacks positives or negatives.

    Args:
        score: finite numbers [rows], larger for class 1.
        label: 0 or 1 [rows].
    """
    scores, labels, groups = np.asarray(score, dtype=np.float64), np.asarray(label), np.asarray(group)
    if not np.isfinite(scores).all():
        raise DataError("scores hold NaN or infinite numbers", expected="finite scores")
    return {str(name): _auc(scores[groups == name], labels[groups == name]) for name in np.unique(groups)}


def _auc(score: NDArray[np.float64], label: NDArray[np.int64]) -> float | None:
    positives = int(np.count_nonzero(label == 1))
    negatives = len(label) - positives
    if not positives or not negatives:
        return None
    ranks = rankdata(score)[label == 1].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))
