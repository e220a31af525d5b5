"""Rates of audit rows of which some are labelled, chosen at random within strata of known sizes.

What a model decides of a row is known without its label. So of the rows of a stratum that both models decide alike
nothing but the labels is unknown: of N such rows n are labelled, x[y] of them with label y, and N x[y] / n is how many
rows have it. Every rate is a ratio of sums of such numbers.

Limits are made of Clopper-Pearson limits of x[y] / n, by MOVER for sums (Zou, Huang & Zhang, Computational Statistics
and Data Analysis 2009) and for ratios (Donner & Zou, Statistical Methods in Medical Research 2012). So a stratum in
which no event was found has a limit like any other. An effective number of rows (Korn & Graubard, Survey Methodology
1998) rests on an estimated variance, which is 0 there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from edgefair.joint import Group
from edgefair.measure.bounds import Array, clopper_pearson
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts

Whole = NDArray[np.int64]
Limited = tuple[Array, Array, Array]
# Share of a variance below which it is rounding.
EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class Totals:
    """Estimated numbers of rows, with the distances of their limits: float64, one shape.

    Attributes:
        value: the estimates.
        below, above: (value - lower)^2 and (upper - value)^2, of what labels are known by a random sample.
        less, more: by which it may be smaller and larger for rows of which no label is known at all: no chance is in
            that, so it adds up as it is.
    """

    value: Array
    below: Array
    above: Array
    less: Array
    more: Array

    def over(self, summed: Callable[[Array], Array]) -> Totals:
        """Sums of totals of different strata, which are independent: their squared distances add up."""
        return Totals(*(summed(part) for part in (self.value, self.below, self.above, self.less, self.more)))

    def distances(self, below: Array, above: Array) -> tuple[Array, Array]:
        """Of the limits, with further distances, of what is independent of the labels."""
        return self.less + np.sqrt(self.below + below**2), self.more + np.sqrt(self.above + above**2)


@dataclass(frozen=True, eq=False)
class Strata:
    """Audit rows by stratum of the design and by decision: the whole evidence of a label design.

    Attributes:
        attributes, groups, classes: as of `GroupCounts`.
        stratum: of the design, int64 [cells], one for every cell: rows of one stratum that are decided alike.
        group: index of its joint group, int64 [cells].
        candidate, reference: what is decided of its rows, int64 [cells]; None without a reference.
        rows: how many there are, int64 [cells].
        labelled: labelled ones by label, int64 [cells, labels].
    """

    attributes: tuple[str, ...]
    groups: tuple[Group, ...]
    classes: tuple[str, ...]
    stratum: Whole
    group: Whole
    candidate: Whole
    reference: Whole | None
    rows: Whole
    labelled: Whole

    @classmethod
    def of(
        cls,
        *,
        attributes: tuple[str, ...],
        groups: tuple[Group, ...],
        classes: tuple[str, ...],
        stratum: Whole,
        group: Whole,
        candidate: Whole,
        reference: Whole | None,
        label: Whole,
    ) -> Self:
        """Count rows; the last five are int64 [rows], `label` negative where there is none."""
        shape = (int(stratum.max(initial=0)) + 1, len(groups), len(classes), len(classes))
        keys = np.ravel_multi_index((stratum, group, candidate, candidate if reference is None else reference), shape)
        found, inverse = np.unique(keys, return_inverse=True)
        cells = [part.astype(np.int64) for part in np.unravel_index(found, shape)]
        labelled = np.zeros((len(found), len(classes)), dtype=np.int64)
        known = label >= 0
        np.add.at(labelled, (inverse[known], label[known]), 1)
        before = None if reference is None else cells[3]
        rows = np.bincount(inverse, minlength=len(found)).astype(np.int64)
        return cls(attributes, groups, classes, cells[0], cells[1], cells[2], before, rows, labelled)

    @property
    def total(self) -> int:
        """Rows, labelled or not."""
        return int(self.rows.sum())

    @property
    def share(self) -> Array:
        """Estimated share of every label among the rows of a cell, float64 [cells, labels].

        Of a cell without a labelled row: that of its stratum; limits take it for unknown.
        """
        of_stratum = np.zeros((int(self.stratum.max(initial=0)) + 1, len(self.classes)))
        np.add.at(of_stratum, self.stratum, self.labelled)
        found = np.where(self.labelled.any(axis=1, keepdims=True), self.labelled, of_stratum[self.stratum])
        share: Array = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
        return share

    @property
    def table(self) -> Array:
        """Estimated numbers of rows by joint group, label and the candidate's decision: float64."""
        estimated = self.rows[:, None] * self.share
        return _table(estimated, self.group, len(self.groups), self.candidate)

    def table_by(self, *attributes: str) -> Array:
        """As `table`, of the groups of some of the attributes; sorted as those of `CountTable.by`."""
        at = [self.attributes.index(name) for name in attributes]
        groups = [tuple(group[index] for index in at) for group in self.groups]
        place = {group: index for index, group in enumerate(sorted(set(groups)))}
        table = self.table
        found = np.zeros((len(place), *table.shape[1:]))
        np.add.at(found, [place[group] for group in groups], table)
        return found

    def counts(self) -> GroupCounts:
        """The labelled rows, unweighted."""
        table = _table(self.labelled, self.group, len(self.groups), self.candidate)
        return GroupCounts(self.attributes, self.groups, self.classes, table.astype(np.int64))

    def paired(self) -> PairedCounts | None:
        """The labelled rows by both decisions, unweighted; None without a reference."""
        if self.reference is None:
            return None
        table = _table(self.labelled, self.group, len(self.groups), self.reference, self.candidate)
        return PairedCounts(self.attributes, self.groups, self.classes, table.astype(np.int64))

    def decided(self) -> GroupCounts:
        """All rows by decision, [groups, decision, decision]."""
        table = np.zeros((len(self.groups), len(self.classes), len(self.classes)), dtype=np.int64)
        np.add.at(table, (self.group, self.candidate, self.candidate), self.rows)
        return GroupCounts(self.attributes, self.groups, self.classes, table)

    def totals(self, level: float) -> Totals:
        """Numbers of rows by label, [cells, labels], given how many rows the cell has."""
        share, n = self.share, self.labelled.sum(axis=1, keepdims=True)
        lower, upper = clopper_pearson(self.labelled, n, level)
        rows = self.rows[:, None].astype(np.float64)
        below, above = rows * (share - lower), rows * (upper - share)
        known = n > 0
        return Totals(rows * share, known * below**2, known * above**2, ~known * below, ~known * above)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "attributes": list(self.attributes),
            "groups": [list(group) for group in self.groups],
            "classes": list(self.classes),
            "stratum": self.stratum.tolist(),
            "group": self.group.tolist(),
            "candidate": self.candidate.tolist(),
            "reference": None if self.reference is None else self.reference.tolist(),
            "rows": self.rows.tolist(),
            "labelled": self.labelled.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: not such an object, or one that no rows can have given.
        """
        names = ("stratum", "group", "candidate", "rows")
        stratum, group, candidate, rows = (_whole(data[name]) for name in names)
        reference = None if data["reference"] is None else _whole(data["reference"])
        groups = tuple(tuple(str(value) for value in group) for group in data["groups"])
        classes, labelled = tuple(str(name) for name in data["classes"]), _whole(data["labelled"])
        columns = [stratum, group, candidate, rows, *([] if reference is None else [reference])]
        decided = [candidate, *([] if reference is None else [reference])]
        if (
            any(column.shape != rows.shape for column in columns)
            or not len(rows)
            or labelled.shape != (len(rows), len(classes))
            or group.max() >= len(groups)
            or any(column.max() >= len(classes) for column in decided)
        ):
            raise ValueError("strata that no rows can have given")
        of_stratum = np.bincount(stratum, weights=labelled.sum(axis=1))
        if (labelled.sum(axis=1) > rows).any() or (of_stratum[stratum] == 0).any():
            raise ValueError("strata with more labelled rows than rows, or with none")
        attributes = tuple(str(name) for name in data["attributes"])
        return cls(attributes, groups, classes, stratum, group, candidate, reference, rows, labelled)


def ratio(hits: Totals, others: Totals, spread: tuple[Array, Array], level: float) -> Limited:
    """hits / (hits + others) with limits, of totals that rest on different cells; 0 to 1 without rows.

    With A and B for the two, A / B is at most rho where the upper limit of A - rho B is 0, so at the larger root of
    (rho B - A)^2 = a^2 + rho^2 b^2, a and b the distances of the limits of A and B.

    Args:
        spread: sum over the cells of rows times squared share, of hits and of others. How many rows a cell has is by
            chance too (Poisson), which adds this to the variance of a total.
    """
    parts = []
    for item, own in zip((hits, others), spread, strict=True):
        below, above = item.distances(*_poisson(item.value, own, level))
        parts.append((below**2, above**2))
    (under, above), (others_under, others_above) = parts
    total = hits.value + others.value
    rate = np.divide(hits.value, total, out=np.zeros_like(total), where=total > 0)
    upper = _upper(hits.value, above, others.value, others_under)
    lower = 1 - _upper(others.value, others_above, hits.value, under)
    return rate, np.where(total > 0, np.minimum(lower, rate), 0.0), np.where(total > 0, np.maximum(upper, rate), 1.0)


def proportion(hits: Totals, rows: Array, squares: Array, level: float) -> Limited:
    """hits / rows with limits, for a known number of rows; 0 to 1 without rows.

    Args:
        squares: sum over the cells of rows times squared share of hits. How many rows of all a cell has is by chance
            too (multinomial), which adds (squares / rows - rate^2) / rows to the variance: rate (1 - rate) / size.
    """
    n = np.maximum(rows, 1)
    rate = hits.value / n
    simple, varied = rate * (1 - rate), squares / n - rate**2
    seen = (simple > 0) & (varied > EXACT * simple)
    size = np.where(simple > 0, n * simple / np.where(seen, varied, EXACT * np.maximum(simple, EXACT)), n)
    lower, upper = clopper_pearson(rate * size, size, level)
    below, above = hits.distances(n * (rate - lower), n * (upper - rate))
    lower, upper = np.maximum(rate - below / n, 0.0), np.minimum(rate + above / n, 1.0)
    return rate, np.where(rows > 0, lower, 0.0), np.where(rows > 0, upper, 1.0)


def _poisson(total: Array, variance: Array, level: float) -> tuple[Array, Array]:
    """Distances of the limits of a sum of Poisson numbers times shares: those of variance / total times one such number
    (Fay & Feuer, Statistics in Medicine 1997); of 0, of one itself."""
    scale = np.divide(variance, total, out=np.ones_like(total), where=(total > 0) & (variance > 0))
    events = total / scale
    lower = np.where(events > 0, gammaincinv(np.where(events > 0, events, 1.0), level), 0.0)
    upper = gammaincinv(events + 1, 1 - level)
    return scale * (events - lower), scale * (upper - events)


def _upper(a: Array, above: Array, b: Array, below: Array) -> Array:
    """rho / (1 + rho) at the larger root of (b^2 - below) rho^2 - 2 a b rho + a^2 - above = 0; 1 where b may be 0."""
    square = b**2 - below
    root = np.sqrt(np.maximum(a**2 * below + above * square, 0.0))
    known = square > 0
    rho = np.divide(a * b + root, square, out=np.zeros_like(square), where=known)
    return np.where(known, rho / (1 + rho), 1.0)


def _table(numbers: NDArray[Any], group: Whole, groups: int, *decisions: Whole) -> Array:
    """Sums of numbers [cells, labels] by group, label and decisions: float64 [groups, labels, decisions...]."""
    labels = numbers.shape[1]
    shape = (groups, *[labels] * len(decisions))
    found = np.zeros((int(np.prod(shape)), labels))
    np.add.at(found, np.ravel_multi_index((group, *decisions), shape), numbers)
    return np.moveaxis(found.reshape(*shape, labels), -1, 1)


def _whole(values: Any) -> Whole:
    found = np.asarray(values)
    if found.dtype.kind not in "iu" or (found.size and found.min() < 0):
        raise ValueError("strata that are not whole numbers")
    return found.astype(np.int64)
