"""What a verdict takes its limits of where rows were chosen by a label design: everything from the strata."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from edgefair.decision.cells import declared_table
from edgefair.decision.policy import Policy
from edgefair.measure.bounds import Array, clopper_pearson
from edgefair.measure.design import Change, Design, Effective, Excess, Limited
from edgefair.measure.labels.strata import Strata, proportion, ratio
from edgefair.measure.metrics import DIFFERENCES

Bools = NDArray[np.bool_]
# Two numbers of one sample, however they depend on each other: sd(a - b) <= sd(a) + sd(b) <= sqrt(2 (var a + var b)).
DEPENDENT = float(np.sqrt(2.0))


def weighted_design(strata: Strata, policy: Policy) -> Design:
    """The limits of everything that the policy asks for.

    Raises:
        PolicyError: a group that has rows and that the policy does not declare.
    """
    decided = strata.decided()
    for name in policy.attributes:
        declared_table(decided, policy, name)
    sums = _Sums(strata, policy)
    paired = strata.reference is not None
    names = policy.attributes
    everybody = np.ones((1, len(strata.rows)), dtype=bool)
    return Design(
        rates={name: sums.rates(sums.members(name)) for name in names},
        changes={name: sums.changes(sums.members(name)) for name in names} if paired else {},
        drop=sums.losses(everybody) if paired else None,
        balanced={name: np.full(len(policy.groups(name)), np.sqrt(len(strata.classes))) for name in names},
        metrics={
            name: {
                metric: sums.metric(DIFFERENCES[metric], sums.members(name))
                for metric in policy.judged_metrics
                if name in policy.metric_thresholds(metric)
            }
            for name in names
        },
        accuracy={name: sums.accuracy(sums.members(name)) for name in names},
        losses={name: sums.losses(sums.members(name)) for name in names} if paired else {},
        excess={name: sums.excess(sums.members(name)) for name in names} if paired else {},
    )


class _Sums:
    """Rates of sets of cells, each bool [groups, cells]."""

    def __init__(self, strata: Strata, policy: Policy) -> None:
        self.strata, self.policy = strata, policy
        self.share = strata.share
        self.totals = cache(strata.totals)
        classes = np.arange(len(strata.classes))
        self.candidate: Bools = strata.candidate[:, None] == classes
        self.reference: Bools | None = None if strata.reference is None else strata.reference[:, None] == classes

    def members(self, name: str) -> Bools:
        """Which cells belong to each declared group."""
        attributes = self.policy.attributes_of(name)
        at = [self.strata.attributes.index(item) for item in attributes]
        place = {group: index for index, group in enumerate(self.policy.groups(name))}
        of = np.array([place[tuple(group[index] for index in at)] for group in self.strata.groups])
        found: Bools = np.equal(np.arange(len(place))[:, None], of[self.strata.group])
        return found

    def rates(self, members: Bools) -> Effective:
        """Of r[g, y, c]."""
        return self._given_label(members, self.candidate)

    def changes(self, members: Bools) -> Change:
        """Of the flips towards a class minus those away from it.

        Gained G, lost L and all other rows S are independent, and G / (G + L + S) - L / (G + L + S) has at most the
        larger of these two ratios times the variance that the terms would have if they were, too:
        (1 - d)^2 / ((1 - g)^2 + l^2) and (1 + d)^2 / ((1 - l)^2 + g^2), with d = g - l.
        """
        before = self._before()
        plus = self._given_label(members, self.candidate & ~before)
        minus = self._given_label(members, before & ~self.candidate)
        n = self._labelled(members)[:, :, None]
        g, l = ((_rate(item) * n + 1) / (n + 2) for item in (plus, minus))  # noqa: E741
        ratios = (1 - g + l) ** 2 / ((1 - g) ** 2 + l**2), (1 + g - l) ** 2 / ((1 - l) ** 2 + g**2)
        return Change(plus, minus, np.sqrt(np.maximum(np.maximum(*ratios), 1.0)))

    def accuracy(self, members: Bools) -> Effective:
        """Of the share of rows that are decided rightly."""
        return self._of_all(members, self.candidate)

    def metric(self, rate: str, members: Bools) -> Effective:
        """Of the rate that a metric compares, [groups, 1, 1]."""
        if rate in {"TPR", "FPR"}:
            label = int(rate == "TPR")
            found = self.rates(members).at(slice(None), [label], 1)
        elif rate == "selection rate":
            found = self._selected(members)
        elif rate == "precision":
            found = self._of_all(members & self.candidate[:, 1], np.arange(2) == 1)
        else:
            found = self.accuracy(members)
        return found.reshaped(len(members), 1, 1)

    def losses(self, members: Bools) -> Change:
        """Of the rows that compression breaks minus those that it corrects."""
        before = self._before()
        flipped = (before != self.candidate).any(axis=1, keepdims=True)
        broken, corrected = (self._of_all(members, item & flipped) for item in (before, self.candidate))
        return Change(broken, corrected, np.full(len(members), DEPENDENT))

    def excess(self, members: Bools) -> Excess:
        """Of what a group loses beyond all others, whose rows lie in other cells."""
        own = members @ self.strata.rows
        weight = 1 - own / max(self.strata.total, 1)
        return Excess(self.losses(~members), np.ones(len(members)), weight)

    def _before(self) -> Bools:
        if self.reference is None:
            raise ValueError("there is no reference")
        return self.reference

    def _labelled(self, members: Bools) -> NDArray[np.int64]:
        """Labelled rows, int64 [groups, labels]."""
        found: NDArray[np.int64] = members.astype(np.int64) @ self.strata.labelled
        return found

    def _given_label(self, members: Bools, decided: Bools) -> Effective:
        """Of the share of the rows with a label that are decided so, [groups, labels, ways of deciding].

        Args:
            decided: bool [cells, ways of deciding].
        """
        shape = (len(members), decided.shape[1], -1)
        ways = [
            (members[:, None, :] & part.T).reshape(-1, len(decided)).astype(np.float64) for part in (decided, ~decided)
        ]

        def summed(at: int) -> Callable[[Array], Array]:
            return lambda values: (ways[at] @ values).reshape(shape).transpose(0, 2, 1)

        squares = self.strata.rows[:, None] * self.share**2
        spread = summed(0)(squares), summed(1)(squares)

        def limits(level: float) -> Limited:
            totals = self.totals(level)
            return ratio(totals.over(summed(0)), totals.over(summed(1)), spread, level)

        return self._effective(limits, self._labelled(members)[:, :, None])

    def _of_all(self, members: Bools, event: Bools) -> Effective:
        """Of the share of rows whose label is that of the event, [groups].

        Args:
            event: bool [cells, labels] or [labels]; at most one label of a cell.
        """

        def summed(values: Array) -> Array:
            found: Array = members @ (values * event).sum(axis=1)
            return found

        rows = (members @ self.strata.rows).astype(np.float64)
        squares = summed(self.strata.rows[:, None] * self.share**2)

        def limits(level: float) -> Limited:
            return proportion(self.totals(level).over(summed), rows, squares, level)

        return self._effective(limits, self._labelled(members).sum(axis=1))

    def _selected(self, members: Bools) -> Effective:
        """Of the share of rows that are decided as class 1, which needs no label."""
        chosen, rows = (members @ (self.strata.rows * part) for part in (self.candidate[:, 1], 1))

        def limits(level: float) -> Limited:
            return chosen / np.maximum(rows, 1), *clopper_pearson(chosen, rows, level)

        return self._effective(limits, self._labelled(members).sum(axis=1))

    def _effective(self, limits: Callable[[float], Limited], n: NDArray[np.int64]) -> Effective:
        """What the limits at alpha make of n labelled rows: as many as would have such limits without a design."""
        rate, lower, upper = limits(self.policy.alpha)
        n = np.broadcast_to(n, rate.shape)
        variance = ((upper - lower) / (2 * float(ndtri(1 - self.policy.alpha)))) ** 2
        smoothed = (rate * n + 1) / (n + 2)
        share = np.where(n > 0, smoothed * (1 - smoothed) / np.maximum(n * variance, 1e-300), 1.0)
        return Effective(share, n, rate, own=lambda level: limits(level)[1:])


def _rate(item: Effective) -> Array:
    if item.rate is None:
        raise ValueError("a weighted rate is known")
    return item.rate
