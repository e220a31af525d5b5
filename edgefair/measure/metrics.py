"""Group-fairness metrics under their own names, as functions of counts.

Rates are successes over trials per group, so each has exact limits; the metrics are what is done with them. A metric
that needs a rate without trials is None: no rows, no number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import DataError
from edgefair.measure.bounds import Array

# Numbers of rows: whole, or estimated.
Counts = NDArray[Any]
# table [groups, labels, decisions] -> (successes, trials), each [groups]; class 1 is the positive one
Rate = Callable[[Counts], tuple[Counts, Counts]]


def _true_positive(x: Counts) -> tuple[Counts, Counts]:
    return x[:, 1, 1], x[:, 1].sum(axis=1)


def _false_positive(x: Counts) -> tuple[Counts, Counts]:
    return x[:, 0, 1], x[:, 0].sum(axis=1)


def _selection(x: Counts) -> tuple[Counts, Counts]:
    return x[:, :, 1].sum(axis=1), x.sum(axis=(1, 2))


def _precision(x: Counts) -> tuple[Counts, Counts]:
    return x[:, 1, 1], x[:, :, 1].sum(axis=1)


def _accuracy(x: Counts) -> tuple[Counts, Counts]:
    return np.trace(x, axis1=1, axis2=2), x.sum(axis=(1, 2))


# The only rate that more than two classes have.
ACCURACY = "accuracy"
RATES: Mapping[str, Rate] = {
    "TPR": _true_positive,
    "FPR": _false_positive,
    "selection rate": _selection,
    "precision": _precision,
    ACCURACY: _accuracy,
}
# Differences of one rate between groups: each can be given a threshold of its own in the policy.
DIFFERENCES: Mapping[str, str] = {
    "equal_opportunity_difference": "TPR",
    "false_positive_rate_difference": "FPR",
    "demographic_parity_difference": "selection rate",
    "predictive_parity_difference": "precision",
    "accuracy_difference": ACCURACY,
}


class Tabled(Protocol):
    """Counts, or what is estimated of them: `table` [groups, labels, decisions]."""

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def table(self) -> Counts: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Estimated:
    """Estimated numbers of rows, float64 [groups, labels, decisions]."""

    classes: tuple[str, ...]
    table: Array


def rates(counts: Tabled, name: str) -> tuple[Counts, Counts]:
    """Successes and trials of a rate of `RATES`, [groups] each.

    Raises:
        DataError: a rate of the positive class, and more than two classes.
    """
    if len(counts.classes) != 2 and name != ACCURACY:
        raise DataError(f"'{name}' is a rate of the positive class", expected="two classes")
    return RATES[name](counts.table)


def difference(counts: Tabled, metric: str) -> float | None:
    """max_g r_g - min_g r_g of a metric of `DIFFERENCES`; 0 where all groups are equal."""
    value = _values(*rates(counts, DIFFERENCES[metric]))
    return None if value is None else float(np.ptp(value))


def ratio(counts: Tabled, rate: str) -> float | None:
    """min_g r_g / max_g r_g; 1 where all groups are equal. None also where every rate is 0."""
    value = _values(*rates(counts, rate))
    return None if value is None or value.max() == 0 else float(value.min() / value.max())


def equalized_odds_difference(counts: Tabled) -> float | None:
    """max over labels y, decisions c and pairs of groups of |r[a,y,c] - r[b,y,c]| (two classes: of TPR and FPR)."""
    found = largest_differences(counts.table)
    return None if np.isnan(found).any() else float(found.max())


def largest_differences(table: Counts) -> Array:
    """max_g r[g,y,c] - min_g r[g,y,c], float64 [labels, decisions]; NaN where a group has no row of the label."""
    n = table.sum(axis=2, keepdims=True)
    if not len(n):
        return np.full(table.shape[1:], np.nan)
    return np.where((n > 0).all(axis=0), np.ptp(table / np.maximum(n, 1), axis=0), np.nan)


def equalized_odds_ratio(counts: Tabled) -> float | None:
    """min of the TPR ratio and the FPR ratio."""
    found = [ratio(counts, name) for name in ("TPR", "FPR")]
    known = [value for value in found if value is not None]
    return min(known) if len(known) == len(found) else None


def equalized_odds_to_overall(counts: Tabled) -> float | None:
    """max over labels, decisions and groups of |r[g,y,c] - r[y,c]|, against the rate of all rows together."""
    value = _conditional(counts)
    total = counts.table.sum(axis=0)
    if value is None:
        return None
    return float(np.abs(value - total / total.sum(axis=1, keepdims=True)).max())


def average_odds_absolute(counts: Tabled) -> float | None:
    """Mean over labels of the largest difference between groups: (|dTPR| + |dFPR|) / 2; signs cannot cancel."""
    value = _conditional(counts)
    return None if value is None else float(np.ptp(value, axis=0).max(axis=1).mean())


def worst_group_accuracy(counts: Tabled) -> float | None:
    """min_g of the accuracy."""
    value = _values(*rates(counts, "accuracy"))
    return None if value is None else float(value.min())


def worst_group_balanced_accuracy(counts: Tabled) -> float | None:
    """min_g of the mean recall over the labels."""
    value = _conditional(counts)
    return None if value is None else float(np.diagonal(value, axis1=1, axis2=2).mean(axis=1).min())


def total_variation(counts: Tabled) -> float | None:
    """max over labels and pairs of groups of half the L1 distance between their distributions of decisions."""
    value = _conditional(counts)
    if value is None:
        return None
    return float(0.5 * np.abs(value[:, None] - value[None]).sum(axis=3).max())


def all_metrics(counts: Tabled) -> dict[str, float | None]:
    """Every metric that these classes have, by name."""
    found: dict[str, float | None] = {
        "equalized_odds_difference": equalized_odds_difference(counts),
        "equalized_odds_to_overall": equalized_odds_to_overall(counts),
        "average_odds_absolute": average_odds_absolute(counts),
        "accuracy_difference": difference(counts, "accuracy_difference"),
        "worst_group_accuracy": worst_group_accuracy(counts),
        "worst_group_balanced_accuracy": worst_group_balanced_accuracy(counts),
        "total_variation": total_variation(counts),
    }
    if len(counts.classes) == 2:
        found |= {name: difference(counts, name) for name in DIFFERENCES}
        found["equalized_odds_ratio"] = equalized_odds_ratio(counts)
        found["demographic_parity_ratio"] = ratio(counts, "selection rate")
    return found


def _values(successes: Counts, trials: Counts) -> Array | None:
    return successes / trials if len(trials) and (trials > 0).all() else None


def _conditional(counts: Tabled) -> Array | None:
    """r[g, y, c], or None where a cell has no rows."""
    n = counts.table.sum(axis=2, keepdims=True)
    return counts.table / n if len(n) and (n > 0).all() else None
