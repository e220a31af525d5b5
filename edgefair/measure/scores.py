"""Numbers of rows that carry scores: not functions of counts, so they have no verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri, stdtrit

from edgefair.measure.bounds import Array, clopper_pearson, mover, root

# Beside 1, where a limit of the AUC is looked for below it.
NEAR = 1e-12


@dataclass(frozen=True)
class Interval:
    """An estimate with its limits."""

    value: float
    lower: float
    upper: float


def auc_interval(score: Array, label: NDArray[np.int64], *, level: float) -> Interval | None:
    """Area under the ROC curve with limits, each at `level`; None without positives or negatives.

    The wider of two on either side: DeLong's standard error (Biometrics 1988) on the logit scale, which assumes no
    distribution but sees no variance where few rows rank wrongly, and Newcombe's score limits (Statistics in Medicine
    2006, part 2, method 5), which hold there.

    Args:
        score: finite, [rows], larger for class 1.
        label: 0 or 1, [rows].
    """
    positive, negative = score[label == 1], score[label == 0]
    m, n = len(positive), len(negative)
    if not m or not n:
        return None
    above, below = _placements(positive, negative)
    # Halves of whole numbers, and so the sum is exact.
    value = float(above.sum() / (m * n))
    z = float(-ndtri(level))
    lower, upper = _score_limit(value, m, n, z), 1 - _score_limit(1 - value, m, n, z)
    if 0 < value < 1 and min(m, n) > 1:
        half = z * np.sqrt(_delong_variance(above / n, below / m)) / (value * (1 - value))
        lower, upper = min(lower, float(expit(logit(value) - half))), max(upper, float(expit(logit(value) + half)))
    return Interval(value, lower, upper)


def _delong_variance(above: Array, below: Array) -> float:
    """Variance of the AUC from the shares of negatives below each positive, and of positives below each negative."""
    return float(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))


def _placements(positive: Array, negative: Array) -> tuple[Array, Array]:
    """How many negatives are below each positive, and positives below each negative; equal ones count half.

    The differences of mid-ranks of Sun & Xu (IEEE Signal Processing Letters 2014), by sorting each side once.
    """
    order_of = [np.argsort(part) for part in (positive, negative)]
    ordered = [part[order] for part, order in zip((positive, negative), order_of, strict=True)]
    found = []
    for order, own, others in zip(order_of, ordered, reversed(ordered), strict=True):
        below = np.empty(len(own))
        below[order] = (np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")) / 2
        found.append(below)
    return found[0], found[1]


def _score_limit(value: float, m: int, n: int, z: float) -> float:
    """Lower limit a with value - a = z sqrt(V(a)), V by Hanley & McNeil (Radiology 1982) for (m + n) / 2 of each."""
    if value <= 0:
        return 0.0
    others = (m + n) / 2 - 1

    def beyond(a: float) -> float:
        variance = a * (1 - a) * (1 + others * ((1 - a) / (2 - a) + a / (1 + a))) / (m * n)
        return value - a - z * float(np.sqrt(variance))

    return root(beyond, 0.0, min(value, 1 - NEAR))


def calibration_interval(score: Array, label: NDArray[np.int64], *, level: float) -> Interval | None:
    """Mean of P(class 1) minus the rate of class 1, with limits, each at `level`; None with fewer than two rows.

    Above 0 where a group is promised more than it has (calibration in the large: Cox, Biometrika 1958). t limits of
    the mean score and Clopper-Pearson's of the rate, joined by MOVER with the correlation of both: a rate of few
    positives is skewed. A binned calibration error is not offered, as it is biased upwards in small groups.
    """
    rows = len(score)
    if rows < 2:
        return None
    mean, rate = float(score.mean()), float(label.mean())
    half = float(-stdtrit(rows - 1, level)) * float(score.std(ddof=1)) / np.sqrt(rows)
    low, high = clopper_pearson(label.sum(), rows, level)
    spread = float(score.std() * label.std())
    correlation = float(np.mean((score - mean) * (label - rate))) / spread if spread > 0 else 0.0
    one, below, above, other = (np.asarray(part) for part in (mean, mean - half, mean + half, rate))
    value, lower, upper = mover(one, below, above, other, low, high, correlation=min(max(correlation, -1.0), 1.0))
    return Interval(float(value), float(lower), float(upper))
