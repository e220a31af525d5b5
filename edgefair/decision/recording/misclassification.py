"""What recorded groups and labels show of the true ones, where some of them are recorded wrongly.

A row lies in the cell (a, y) by its recorded group and label. Of the rows in it a share e <= E_a has another true
group, and a share h <= H_y another true label. Assumed is that who is recorded wrongly is decided like others of the
true group and label, and that true groups are among the declared ones. Then the recorded rate is a mixture of true
ones,

    R[a] = (1 - e - h) r[a] + e m + h u,    m between the least and the largest r[g] at the label, u anywhere.

Let D = r[a] - r[b] be the largest true difference of any two groups. There m of the one cell is at least r[b], and m
of the other at most r[a], so, for numbers that lie between `low` and `low + w`,

    R[a] - R[b] >= D (1 - E_a - E_b - min H) - w max H

with the H of the two cells: the difference is linear in r[b], and least where one of the rates is at an end. Without
errors in labels and with two groups, R[a] - R[b] = (1 - e_a - e_b) (r[a] - r[b]) (Lamy et al., NeurIPS 2019; Awasthi
et al., AISTATS 2020; Celis et al., ICML 2021), with e the probability of another true group *given the recorded one*.
So if every pair keeps its own corrected threshold, the largest true difference keeps the declared one: it is missed
only where the pair that has it is. The other way round mixing shrinks differences, and wrong labels add w max H at
most: where all true differences are at most t, all recorded ones are at most t + w max H.

`pytest tests/decision/test_misclassification.py` compares both with the worst of random true rates and errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgefair.measure.bounds import Array

# (estimate, lower, upper)
Limited = tuple[Array, Array, Array]


@dataclass(frozen=True, eq=False)
class Correction:
    """From a difference of recorded cells to the true one: float64 [groups, groups, labels] each.

    Attributes:
        factor: what of the largest true difference is left in the recorded one.
        shift: what wrong labels add or take.
        width: the most that two such numbers can differ.
    """

    factor: Array
    shift: Array
    width: float

    @classmethod
    def of(cls, groups: Array, labels: Array, *, width: float = 1.0, unbounded: bool = False) -> Self:
        """The correction of numbers whose cells have a recorded label.

        Args:
            groups: E, largest share of wrong groups, [groups].
            labels: H, largest share of wrong labels, [labels].
            unbounded: whether rows of other groups may be decided in any way, as where a difference to those is
                waived; they count as rows of another label then.
        """
        wrong = groups[:, None] + labels if unbounded else np.broadcast_to(labels, (len(groups), len(labels)))
        other = np.zeros_like(groups) if unbounded else groups
        least, most = np.minimum(wrong[:, None], wrong[None]), np.maximum(wrong[:, None], wrong[None])
        return cls(1 - (other[:, None] + other[None])[:, :, None] - least, width * most, width)

    @classmethod
    def of_accuracy(cls, groups: Array, label: float) -> Self:
        """The correction of accuracies: every row with a wrong label may be counted wrongly, in either group."""
        factor = 1 - (groups[:, None] + groups[None])[:, :, None]
        return cls(factor, np.full_like(factor, 2 * label), 1.0)

    def at(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> Correction:
        """Of pairs of groups: [pairs, labels, 1]."""
        return Correction(self.factor[first, second][:, :, None], self.shift[first, second][:, :, None], self.width)

    def threshold(self, threshold: float) -> Array:
        """What a recorded difference must keep for the true one to keep `threshold`; 0 or less where nothing does."""
        return threshold * self.factor - self.shift

    def upper(self, limit: Array) -> Array:
        """Upper limit of the largest true difference, from that of the recorded one."""
        return np.asarray(np.minimum((limit + self.shift) / self.factor, self.width))

    def lower(self, limit: Array) -> Array:
        """Lower limit of the largest true difference, from that of a recorded one."""
        return np.asarray(np.maximum(limit - self.shift, 0.0))


@dataclass(frozen=True, eq=False)
class NumberCorrection:
    """From a number of recorded groups, as an accuracy or a loss, to what the worst true group has.

    The recorded number is (1 - e) v[a] + e m, m a mean of the other groups' numbers, give or take `shift`. So it is
    at most (1 - E) v[a] + E high + shift, at least (1 - E) v[a] + E low - shift, and as good as the worst group's
    give or take `shift`.

    Attributes:
        groups: E, [groups], or of everybody [1].
        shift: what wrong labels add or take.
        low, high: ends of such numbers.
    """

    groups: Array
    shift: float
    low: float
    high: float

    def at_least(self, limits: Limited) -> Limited:
        """Of a number that shall be large: limits of the least true one."""
        value, lower, upper = limits
        return value, self._inside(self._worst(lower - self.shift, self.high)), self._inside(self._most(upper))

    def at_most(self, limits: Limited) -> Limited:
        """Of a number that shall be small: limits of the largest true one."""
        value, lower, upper = limits
        return value, self._inside(lower - self.shift), self._inside(self._worst(upper + self.shift, self.low))

    def recorded(self, threshold: float, *, at_least: bool) -> float:
        """What the number of every recorded group must keep for the worst true one to keep `threshold`."""
        mixed = (1 - self.groups) * threshold
        if at_least:
            return float((mixed + self.groups * self.high + self.shift).max())
        return float((mixed + self.groups * self.low - self.shift).min())

    def room(self, threshold: float, *, at_least: bool) -> float:
        """How far the corrected threshold is from what no group can keep; 0 or less where nothing shows a PASS."""
        found = self.recorded(threshold, at_least=at_least)
        return self.high - found if at_least else found

    def _worst(self, limit: Array, others: float) -> Array:
        return np.asarray((limit - self.groups * others) / (1 - self.groups))

    def _most(self, upper: Array) -> Array:
        """Upper limit of the worst group: wrong groups may differ by label, so they may hide some of it."""
        return np.asarray((upper + self.shift) / (1 - self.groups))

    def _inside(self, limit: Array) -> Array:
        return np.asarray(np.clip(limit, self.low, self.high))
