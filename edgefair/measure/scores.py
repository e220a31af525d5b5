"""Numbers of rows that carry scores: not functions of counts, so they have no verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri, stdtrit

from edgefair.columns.stored import slices, stored
from edgefair.columns.sums import total, variance
from edgefair.measure.bounds import Array, clopper_pearson, mover, root

Scores = NDArray[np.floating]

# Beside 1, where a limit of the AUC is looked for below it.
NEAR = 1e-12


@dataclass(frozen=True)
class Interval:
    """An estimate with its limits."""

    value: float
    lower: float
    upper: float


def auc_interval(score: Scores, label: NDArray[np.int64], *, level: float) -> Interval | None:
    """Area under the ROC curve with limits, each at `level`; None without positives or negatives.

    The wider of two on either side: DeLong's standard error (Biometrics 1988) on the logit scale, which assumes no
    distribution but sees no variance where few rows rank wrongly, and Newcombe's score limits (Statistics in Medicine
    2006, part 2, method 5), which hold there.

    Args:
        score: finite, [rows], larger for class 1.
        label: 0 or 1, [rows].
    """
    positive, negative = (_having(score, label, of) for of in (1, 0))
    m, n = len(positive), len(negative)
    if not m or not n:
        return None
    above, below = _placements(positive, negative), _placements(negative, positive)
    # Halves of whole numbers, and so the sum is exact.
    value = total(above) / (m * n)
    z = float(-ndtri(level))
    lower, upper = _score_limit(value, m, n, z), 1 - _score_limit(1 - value, m, n, z)
    if 0 < value < 1 and min(m, n) > 1:
        # DeLong's, of the shares of negatives below each positive, and of positives below each negative.
        of_auc = variance(above, by=n, ddof=1) / m + variance(below, by=m, ddof=1) / n
        half = z * np.sqrt(of_auc) / (value * (1 - value))
        lower, upper = min(lower, float(expit(logit(value) - half))), max(upper, float(expit(logit(value) + half)))
    return Interval(value, lower, upper)


def _having(score: Scores, label: NDArray[np.int64], of: int) -> Scores:
    """The scores of the rows with a label."""
    parts = (score[part][label[part] == of] for part in slices(len(label), score, label))
    return stored(score.dtype.type, len(label), parts)


def _placements(own: Scores, others: Scores) -> Array:
    """How many of the others are below each; equal ones count half.

    The differences of mid-ranks of Sun & Xu (IEEE Signal Processing Letters 2014), by sorting the others once.
    """
    ordered = np.sort(others)

    def below(part: slice) -> Array:
        order = np.argsort(own[part])
        here, found = own[part][order], np.empty(len(order))
        found[order] = (np.searchsorted(ordered, here, "left") + np.searchsorted(ordered, here, "right")) / 2
        return found

    return stored(np.float64, len(own), map(below, slices(len(own), own)))


def _score_limit(value: float, m: int, n: int, z: float) -> float:
    """Lower limit a with value - a = z sqrt(V(a)), V by Hanley & McNeil (Radiology 1982) for (m + n) / 2 of each."""
    if value <= 0:
        return 0.0
    others = (m + n) / 2 - 1

    def beyond(a: float) -> float:
        variance = a * (1 - a) * (1 + others * ((1 - a) / (2 - a) + a / (1 + a))) / (m * n)
        return value - a - z * float(np.sqrt(variance))

    return root(beyond, 0.0, min(value, 1 - NEAR))


def calibration_interval(score: Scores, label: NDArray[np.int64], *, level: float) -> Interval | None:
    """Mean of P(class 1) minus the rate of class 1, with limits, each at `level`; None with fewer than two rows.

    Above 0 where a group is promised more than it has (calibration in the large: Cox, Biometrika 1958). t limits of
    the mean score and Clopper-Pearson's of the rate, joined by MOVER with the correlation of both: a rate of few
    positives is skewed. A binned calibration error is not offered, as it is biased upwards in small groups.
    """
    rows = len(score)
    if rows < 2:
        return None
    positives = int(total(label))
    mean, rate = total(score) / rows, positives / rows
    half = float(-stdtrit(rows - 1, level)) * np.sqrt(variance(score, ddof=1)) / np.sqrt(rows)
    low, high = clopper_pearson(positives, rows, level)
    spread = float(np.sqrt(variance(score)) * np.sqrt(variance(label)))
    together = total(score, lambda values, part: (values - mean) * (label[part] - rate), label) / rows
    correlation = together / spread if spread > 0 else 0.0
    one, below, above, other = (np.asarray(part) for part in (mean, mean - half, mean + half, rate))
    value, lower, upper = mover(one, below, above, other, low, high, correlation=min(max(correlation, -1.0), 1.0))
    return Interval(float(value), float(lower), float(upper))
