"""Audits that have not been made yet: their assumed decisions, and how many rows make them pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from edgefair.measure.bounds import Array, absolute, clopper_pearson, mover

Ints = NDArray[np.int64]
# Rounds of a search for a number of rows, each nearer to it, and how far around it the rows of one round lie.
ROUNDS, SPREAD = 6, 1.2
# Most that a round may change the rows.
LEAP = 8.0
# What is known of a power curve before it is seen: logit(power) grows by about 3.5 with the logarithm of the rows
# (of one comparison; of many a little more), and how surely; where it lies is not known.
SLOPE, SLOPE_DEVIATION, PLACE_DEVIATION = 3.5, 1.5, 5.0
POWER = 0.8
# A distance from the threshold below which billions of rows per cell would be needed.
SMALLEST_ROOM = 1e-5
# What limits of counts add to normal limits, for every rate in a difference: a row to the variance, and a shift.
# By simulation: rates of 0.0005 to 0.5, thresholds of 0.01 to 0.1, 2 to 16 groups; the chance is 0.78 at least.
ROWS_ADDED, SHIFT = 1.0, 0.63
# Steps of a factor of four in which rows are searched: half a per cent each.
FACTOR, STEPS = 4.0, 256
# So many comparisons, those with the least room, are looked at first.
WORST, STRIDE = 64, 16
# Probabilities below that are not told apart.
LEAST = 1e-300


def assumed_decisions(tpr: float, fpr: float, classes: int, gap: float) -> Array:
    """Probability of every decision given the label, for most people and for the worse group: [2, labels, decisions].

    For two classes TPR and FPR of the worse group are lower by `gap` (higher, where a rate is below it). More classes:
    every recall is `tpr`, errors are spread evenly over the other classes, and each recall of the worse group is
    lower by `gap`.
    """
    chance = np.empty((2, classes, classes))
    for group, shift in enumerate((0.0, gap)):
        if classes == 2:
            positive = np.array([rate - shift if rate >= shift else rate + shift for rate in (fpr, tpr)])
            chance[group] = np.stack([1 - positive, positive], axis=1)
        else:
            recall = tpr - shift if tpr >= shift else tpr + shift
            chance[group] = (1 - recall) / (classes - 1)
            np.fill_diagonal(chance[group], recall)
    return chance


def with_reference(chance: Array, flip_rate: float) -> Array:
    """Probability of the reference's and the candidate's decision: [..., decisions, decisions].

    A share `flip_rate` of the rows of every cell flips, as often one way as the other, so no rate changes; at most as
    many as if both decided independently, beyond which compression keeps nothing.
    """
    apart = chance[..., :, None] * chance[..., None, :]
    own = np.arange(chance.shape[-1])
    apart[..., own, own] = 0.0
    total = apart.sum(axis=(-2, -1), keepdims=True)
    apart = apart * np.minimum(np.divide(flip_rate, total, out=np.zeros_like(total), where=total > 0), 1.0)
    apart[..., own, own] = np.maximum(chance - apart.sum(axis=-2), 0.0)
    return np.asarray(apart)


def draw_tables(n: Ints, worse: NDArray[np.bool_], chance: Array, rng: np.random.Generator) -> Ints:
    """Counts of independent rows: int64 [groups, labels, reference decisions, candidate decisions].

    Args:
        n: rows, int64 [groups, labels].
        worse: whether a group is the worse one, [groups].
        chance: of `with_reference`, [2, labels, decisions, decisions].
    """
    labels, classes = chance.shape[1:3]
    shares = chance.reshape(2, labels, -1)[worse.astype(np.int64)]
    drawn = rng.multinomial(n, shares / shares.sum(axis=-1, keepdims=True))
    return np.asarray(drawn.reshape(*n.shape, classes, classes), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Subjects:
    """Rows by the person they belong to.

    Attributes:
        order: positions of the rows, those of a subject one after the other.
        start, size: where the rows of each subject begin in `order`, and how many there are.
    """

    order: Ints
    start: Ints
    size: Ints

    @classmethod
    def of(cls, codes: NDArray[np.integer]) -> Subjects:
        """Of the index of every row's subject."""
        _, size = np.unique(codes, return_counts=True)
        return cls(np.argsort(codes, kind="stable"), np.cumsum(size) - size, size)

    def resampled(self, times: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """So many times as many subjects, drawn with replacement, rows kept whole: (rows, their subject's index)."""
        count = max(1, round(times * len(self.size)))
        drawn = rng.integers(len(self.size), size=count)
        size = self.size[drawn]
        who = np.repeat(np.arange(count), size)
        within = np.arange(len(who)) - np.repeat(np.cumsum(size) - size, size)
        return self.order[np.repeat(self.start[drawn], size) + within], who


def draw_decisions(
    subject: Ints, label: Ints, worse: NDArray[np.bool_], chance: Array, *, icc: float, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Decisions of the reference and the candidate on rows of subjects: int64 [rows] each.

    A row does as its subject does with probability sqrt(icc), else as chance wants it, so two rows of a subject with
    equal label and group are decided alike with a correlation of icc (and flip so).

    Args:
        subject: index of every row's subject.
        worse: whether a row is of the worse group.
        chance: of `with_reference`, [2, labels, decisions, decisions].
    """
    labels, classes = chance.shape[1:3]
    alike = rng.random(len(subject)) < math.sqrt(icc)
    own = rng.random(int(subject.max(initial=0)) + 1)
    u = np.where(alike, own[subject], rng.random(len(subject)))
    below = np.cumsum(chance.reshape(2, labels, -1), axis=-1)[worse.astype(np.int64), label]
    both = np.minimum((u[:, None] >= below).sum(axis=1), classes**2 - 1)
    return both // classes, both % classes


def smallest_threshold(n: Ints, rates: Array, *, alpha: float) -> float:
    """About the least threshold that counts like these can pass where all groups have exactly equal rates.

    It is the largest upper limit over all pairs of groups with the expected counts and no difference.

    Args:
        n: rows, int64 [groups, labels], all positive.
        rates: assumed rate of each label, float64 [labels].
        alpha: error probability.
    """
    x = np.rint(n * rates).astype(np.int64)
    value, (lower, upper) = x / n, clopper_pearson(x, n, alpha)
    first, second = np.triu_indices(len(n), k=1)
    found = mover(*(part[index] for index in (first, second) for part in (value, lower, upper)))
    return float(absolute(*found)[2].max())


@dataclass(frozen=True)
class PowerCurve:
    """logit(P(PASS)) = place + slope log(size / centre), as fitted between two sizes."""

    place: float
    slope: float
    centre: float
    least: float
    most: float

    def size_at(self, power: float) -> float | None:
        """The least size with so much power; None where the largest does not have it."""
        size = self.centre * math.exp((math.log(power / (1 - power)) - self.place) / self.slope)
        return None if size > self.most else max(size, self.least)


def power_curve(
    passes: Callable[[float], bool], wanted: float, *, guess: float, least: float, most: float, trials: int
) -> PowerCurve:
    """The power of audits by their size, near the size at which it is `wanted`.

    Audits are made around the size that seems right so far, and a logistic curve is fitted to all of them, so none is
    lost (Wu, JASA 1985).

    Args:
        passes: makes an audit of a size and says whether it passes.
        guess: where to begin.
        least, most: no other sizes are of interest.
        trials: audits in all.
    """
    tried: list[float] = []
    passed: list[bool] = []
    size = min(max(guess, least), most)
    curve = PowerCurve(0.0, SLOPE, size, least, most)
    for steps in _rounds(trials):
        batch = [min(max(size * step, least), most) for step in steps]
        passed += [passes(item) for item in batch]
        tried += [math.log(item) for item in batch]
        place, slope = _fit(np.array(tried) - math.log(size), np.array(passed, dtype=np.float64))
        curve = PowerCurve(place, slope, size, least, most)
        aim = curve.size_at(wanted) or most
        size = min(max(aim, size / LEAP), size * LEAP)
    return curve


def _rounds(trials: int) -> Iterator[Array]:
    """Sizes of every round's audits, times the size that seems right."""
    for _ in range(ROUNDS):
        yield np.geomspace(1 / SPREAD, SPREAD, max(1, trials // ROUNDS))


def _fit(x: Array, y: Array) -> tuple[float, float]:
    """a and b of logit(P(y)) = a + b x, the most likely with what is known of them: by Newton's method."""
    found = np.array([0.0, SLOPE])
    prior, weight = np.array([0.0, SLOPE]), np.array([PLACE_DEVIATION, SLOPE_DEVIATION]) ** -2.0
    design = np.stack([np.ones_like(x), x], axis=1)
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        gradient = design.T @ (y - p) - weight * (found - prior)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(weight)
        step = np.linalg.solve(curvature, gradient)
        found = found + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-6:
            break
    return float(found[0]), max(float(found[1]), 0.5)


def rows_needed(
    estimate: Array, variance: Array, threshold: Array, rates: Array, *, alpha: float, rule: str, least: int
) -> int | None:
    """Rows in every cell with which a whole family passes with a probability of 80 %, if the observed rates are true.

    A comparison passes iff |D| + w <= tau, D ~ N(d, v / n), with the width of its limits w = z sqrt(v / n + k / n^2) +
    0.63 k / n, z = z_{1-alpha} (by the point rule w = 0). P(all pass) is at least 1 - the sum of what each of them
    misses (Bonferroni), whatever they have in common: n is where this sum is 20 %. A number for one comparison alone
    would promise too much, for all of them must pass.

    Args:
        estimate: |d| of every comparison, float64 [comparisons].
        variance: v, n times the variance of d, positive, same shape.
        threshold: tau, same shape.
        rates: k, how many rates d is made of, same shape.
        least: rows below which a cell is not judged.

    Returns:
        At least `least`; None where some |d| >= tau, where more rows would prove the opposite, and where no audit set
        is that large.
    """
    if not estimate.size:
        return least
    if float((threshold - estimate).min()) <= SMALLEST_ROOM:
        return None
    z = NormalDist().inv_cdf(1 - alpha) if rule == "bound" else None

    worst = np.argsort((threshold - estimate) / np.sqrt(variance))[:WORST]
    parts = (estimate, variance, threshold, rates)
    few = _first(_lacking(*(part[worst] for part in parts), z=z, least=least), 0, STEPS)
    # Some of them miss no more than all of them, so all need no fewer rows.
    step = few if len(worst) == estimate.size else _first(_lacking(*parts, z=z, least=least), few, STRIDE)
    return math.ceil(_rows(step, least))


def _rows(step: int, least: int) -> float:
    return float(least * FACTOR ** (step / STEPS))


def _lacking(
    estimate: Array, variance: Array, threshold: Array, rates: Array, *, z: float | None, least: int
) -> Callable[[int], float]:
    """By how much the comparisons of `rows_needed` miss too often, for each step above the least rows.

    The logarithms of what they miss and of what they may, in normal scores, in which it is nearly straight.

    Args:
        z: None by the point rule.
    """
    most = 2.0 * estimate.size

    def lacking(step: int) -> float:
        n = _rows(step, least)
        width = 0.0 if z is None else z * np.sqrt(variance / n + ROWS_ADDED * rates / n**2) + SHIFT * rates / n
        room, deviation = threshold - width, np.sqrt(variance / n)
        missed = float((ndtr((estimate - room) / deviation) + ndtr((-estimate - room) / deviation)).sum())
        return math.sqrt(math.log(most / (1 - POWER))) - math.sqrt(math.log(most / max(missed, LEAST)))

    return lacking


def _first(lacking: Callable[[int], float], start: int, stride: int) -> int:
    """The first step from `start` on where a falling function is 0 or less.

    By strides that double, then between the ends of the bracket by the line through their values, where an end that
    stays counts half (Illinois method).
    """
    low, high, above = start, start + stride, lacking(start)
    if above <= 0:
        return start
    while (below := lacking(high)) > 0:
        low, high, above = high, high + 2 * (high - low), below
    while high - low > 1:
        step = low + round((high - low) * above / (above - below))
        step = min(max(step, low + 1), high - 1)
        found = lacking(step)
        if found > 0:
            low, above, below = step, found, below / 2
        else:
            high, below, above = step, found, above / 2
    return high
