"""Families of pairwise comparisons: the absolute and the paired gate are both one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.needed import rows_needed
from edgefair.decision.verdict import LISTED, TIE, Code, Comparison, Outcome, comparison_name, worst
from edgefair.decision.waivers import Wanted, named
from edgefair.measure.bounds import Array, absolute, mover
from edgefair.measure.design import widened
from edgefair.measure.exact import confirmed

OUTCOMES = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)
FAILS, UNSURE, PASSES = range(3)
# Units that are independent by themselves.
ROWS = "rows"
# level -> (estimate, lower, upper), each float64 [groups, labels, measures]
Limits = Callable[[float], tuple[Array, Array, Array]]


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one attribute.

    Attributes:
        measures: name of every (label, decision) that is compared: [labels][measures].
        n: rows, int64 [groups, labels].
        successes: int64 [groups, labels, measures], where the rates are those of independent rows; else None.
        variance: n times the variance of the estimate, float64 [groups, labels, measures].
        units: independent units in each cell, int64 [groups, labels]: rows, or subjects.
        unit: what a unit is called.
        min_units: units that a cell needs to be judged.
        rates: how many rates a number of a cell is made of: two in a change, of rows gained and of rows lost.
        widening: times how much wider limits of two groups' difference are for subjects in both, [groups, groups,
            labels, measures]; None where there are none.
    """

    attribute: str
    groups: tuple[str, ...]
    measures: tuple[tuple[str, ...], ...]
    n: NDArray[np.int64]
    successes: NDArray[np.int64] | None
    limits: Limits
    variance: Array
    threshold: float
    units: NDArray[np.int64]
    unit: str
    min_units: int
    rates: int = 1
    widening: Array | None = None


@dataclass(frozen=True)
class FamilyResult:
    """All comparisons of a family, judged.

    Attributes:
        estimate: largest |difference| where every comparison can be formed, else of those that can; None without any.
        lower, upper: largest lower and upper limit.
        binding: the comparison that decided.
        failing: those beyond their threshold, Holm-corrected, worst first; at most `LISTED` per attribute.
        failing_total: how many there are.
        listed: worst first, at most `LISTED`.
        unshown: attributes with a comparison that is not shown to be within its threshold, and not waived.
    """

    outcome: Outcome
    estimate: float | None
    lower: float | None
    upper: float | None
    binding: Comparison
    failing: tuple[Comparison, ...]
    failing_total: int
    listed: tuple[Comparison, ...]
    total: int
    unshown: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Comparisons of one attribute as arrays, each [pairs, labels, measures]."""

    cells: Cells
    rate: Array
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    estimate: Array
    upper: Array
    judged: NDArray[np.bool_]
    formed: NDArray[np.bool_]

    def lower(self, level: float) -> Array:
        return _pair_limits(self.cells, self.first, self.second, level)[1]


def judge(
    family: Sequence[Cells], *, alpha: float, rule: str, claims: int = 1, waived: frozenset[Wanted] = frozenset()
) -> FamilyResult:
    """Judge every pair of groups of every attribute.

    PASS claims that all differences are small, so every upper limit is taken at alpha (an intersection-union test,
    Berger & Hsu 1996); of independent rows it is confirmed by the exact test (`measure.exact`). FAIL claims that some
    difference is large, so lower limits are corrected over the m comparisons of the family: Holm's step-down at
    a / (2 m), a / (2 (m - 1)), ... with a = alpha / claims (Holm, Scand. J. Stat. 1979). It needs no least number of
    rows: limits of few rows are wide enough; those of few subjects rest on a variance that so few do not tell.

    Args:
        claims: families and gates that share the error of FAIL.
        waived: comparisons that do not count for the outcome; they are listed all the same.

    Raises:
        PolicyError: a waived name that is none of the comparisons, or may be several.
    """
    parts = [_pairs(cells, alpha) for cells in family]
    total = sum(part.estimate.size for part in parts)
    lowers = [part.lower(alpha / claims / (2 * total)) for part in parts]
    if rule == "bound":
        failing = _holm(parts, lowers, alpha / claims)
        lowers = [
            np.where(fails, np.maximum(lower, np.nextafter(part.cells.threshold, 2)), lower)
            for part, fails, lower in zip(parts, failing, lowers, strict=True)
        ]
    else:
        failing = [part.judged & (part.estimate > part.cells.threshold + TIE) for part in parts]
    outcomes = [_outcomes(part, fails, rule) for part, fails in zip(parts, failing, strict=True)]
    excused = _locate(parts, waived)
    needed = _needed(parts, excused, alpha, rule)
    comparisons = [
        _comparison(part, index, lower, outcome, needed, waived=bool(mask[index]))
        for part, lower, outcome, mask in zip(parts, lowers, outcomes, excused, strict=True)
        for index in _worst_first(part, outcome)
    ]
    comparisons.sort(key=_badness)
    formed = [(p.estimate[p.formed], lo[p.formed], p.upper[p.formed]) for p, lo in zip(parts, lowers, strict=True)]
    values = [
        float(max((array.max() for array in arrays if array.size), default=math.nan))
        for arrays in zip(*formed, strict=True)
    ]
    estimate, lower, upper = (None if math.isnan(value) else value for value in values)
    return FamilyResult(
        outcome=worst(
            outcome
            for part, mask in zip(outcomes, excused, strict=True)
            for code, outcome in enumerate(OUTCOMES)
            if (part[~mask] == code).any()
        ),
        estimate=estimate,
        lower=lower,
        upper=upper,
        binding=comparisons[0],
        failing=tuple(item for item in comparisons if item.outcome is Outcome.FAIL and not item.waived),
        failing_total=sum(
            int(np.count_nonzero((part == FAILS) & ~mask)) for part, mask in zip(outcomes, excused, strict=True)
        ),
        listed=tuple(comparisons[:LISTED]),
        total=total,
        unshown=tuple(
            part.cells.attribute
            for part, outcome, mask in zip(parts, outcomes, excused, strict=True)
            if (outcome[~mask] != PASSES).any()
        ),
    )


def _pairs(cells: Cells, alpha: float) -> _Pairs:
    first, second = np.triu_indices(len(cells.groups), k=1)
    estimate, _, upper = _pair_limits(cells, first, second, alpha)
    rows = np.minimum(cells.n[first], cells.n[second])[:, :, None]
    units = np.minimum(cells.units[first], cells.units[second])[:, :, None]
    judged = np.broadcast_to(units >= cells.min_units, estimate.shape)
    within = judged & (upper <= cells.threshold)
    if cells.successes is not None and within.any():
        pair, label, measure = np.nonzero(within)
        sides = [side[pair] for side in (first, second)]
        x_1, x_2 = (cells.successes[side, label, measure] for side in sides)
        n_1, n_2 = (cells.n[side, label] for side in sides)
        upper[within] = confirmed(upper[within], (x_1, x_2), (n_1, n_2), threshold=cells.threshold, alpha=alpha)
    return _Pairs(
        cells=cells,
        rate=cells.limits(alpha)[0],
        first=first,
        second=second,
        estimate=estimate,
        upper=upper,
        judged=judged,
        formed=np.broadcast_to(rows > 0, estimate.shape),
    )


def _pair_limits(
    cells: Cells, first: NDArray[np.intp], second: NDArray[np.intp], level: float
) -> tuple[Array, Array, Array]:
    value, lower, upper = cells.limits(level)
    found = mover(value[first], lower[first], upper[first], value[second], lower[second], upper[second])
    return absolute(*(found if cells.widening is None else widened(found, cells.widening[first, second])))


def _holm(parts: Sequence[_Pairs], lowers: Sequence[Array], alpha: float) -> list[NDArray[np.bool_]]:
    """Comparisons shown to be beyond their threshold; `lowers` are the limits of the first step.

    Of those that a later step finds, no more is shown than that they are beyond it (Strassburger & Bretz, Statistics in
    Medicine 2008): their limit is the threshold.
    """
    total = sum(part.estimate.size for part in parts)
    rejected = 0
    while True:
        found = [
            (part.formed if part.cells.unit == ROWS else part.judged) & (lower > part.cells.threshold)
            for part, lower in zip(parts, lowers, strict=True)
        ]
        count = sum(int(item.sum()) for item in found)
        if count in {rejected, total}:
            return found
        rejected = count
        lowers = [part.lower(alpha / (2 * (total - rejected))) for part in parts]


def _outcomes(part: _Pairs, fails: NDArray[np.bool_], rule: str) -> NDArray[np.int8]:
    """Position in `OUTCOMES` of every comparison's outcome."""
    within = part.upper <= part.cells.threshold if rule == "bound" else part.estimate <= part.cells.threshold + TIE
    return np.where(fails, FAILS, np.where(part.judged & within, PASSES, UNSURE)).astype(np.int8)


def _worst_first(part: _Pairs, outcome: NDArray[np.int8]) -> list[tuple[int, int, int]]:
    """Positions of the worst comparisons of one attribute, as many as are listed."""
    rank = np.where(part.judged | (outcome == FAILS), 2 * outcome, 1)
    order = np.lexsort((-part.upper.ravel(), part.formed.ravel(), rank.ravel()))
    keep = order[:LISTED]
    shape = part.estimate.shape
    return [tuple(int(i) for i in np.unravel_index(position, shape)) for position in keep]  # type: ignore[misc]


def _badness(item: Comparison) -> tuple[bool, int, float]:
    rank = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 2, Outcome.PASS: 3}[item.outcome]
    if item.code.lacks_rows:
        rank = 1
    return item.waived, rank, -(item.upper if item.upper is not None else 2.0)


def _comparison(
    part: _Pairs,
    index: tuple[int, int, int],
    lower: Array,
    outcome: NDArray[np.int8],
    needed: int | None,
    *,
    waived: bool,
) -> Comparison:
    pair, label, measure = index
    cells = part.cells
    a, b = int(part.first[pair]), int(part.second[pair])
    formed = bool(part.formed[index])
    n_a, n_b = int(cells.n[a, label]), int(cells.n[b, label])
    rates = [float(part.rate[group, label, measure]) if n else None for group, n in ((a, n_a), (b, n_b))]
    estimate = float(part.estimate[index])
    result = OUTCOMES[int(outcome[index])]
    code, reason = _why(cells, (a, b), label, estimate, result)
    return Comparison(
        attribute=cells.attribute,
        measure=cells.measures[label][measure],
        group_a=cells.groups[a],
        group_b=cells.groups[b],
        rate_a=rates[0],
        rate_b=rates[1],
        n_a=n_a,
        n_b=n_b,
        difference=rates[0] - rates[1] if rates[0] is not None and rates[1] is not None else None,
        lower=float(lower[index]) if formed else None,
        upper=float(part.upper[index]) if formed else None,
        threshold=cells.threshold,
        outcome=result,
        code=code,
        reason=reason,
        rows_needed=needed,
        waived=waived,
    )


def _locate(parts: Sequence[_Pairs], names: frozenset[Wanted]) -> list[NDArray[np.bool_]]:
    """Which comparisons of each attribute are named."""
    masks = [np.zeros(part.estimate.shape, dtype=bool) for part in parts]
    if names:
        for at, index in named(names, _names(parts)):
            masks[at][index] = True
    return masks


def _names(parts: Sequence[_Pairs]) -> Iterator[tuple[str, tuple[int, tuple[int, ...]]]]:
    """Name of every comparison, the position of its attribute, and its own there."""
    for at, part in enumerate(parts):
        cells = part.cells
        for index in np.ndindex(part.estimate.shape):
            pair, label, measure = index
            groups = (cells.groups[part.first[pair]], cells.groups[part.second[pair]])
            yield comparison_name(cells.attribute, cells.measures[label][measure], *groups), (at, index)


def _why(cells: Cells, pair: tuple[int, int], label: int, estimate: float, outcome: Outcome) -> tuple[Code, str]:
    """Why a comparison has its outcome, and which rows it lacks, in words."""
    if outcome is Outcome.FAIL:
        return Code.BEYOND, ""
    for group in pair:
        if cells.n[group, label] == 0:
            return Code.UNDEFINED_CELL, f"group '{cells.groups[group]}' has no row with this label"
    for group in pair:
        units = int(cells.units[group, label])
        if units < cells.min_units:
            lacking = f"{units} {cells.unit} with this label, {cells.min_units} are needed"
            return Code.TOO_FEW, f"group '{cells.groups[group]}' has {lacking}"
    if outcome is Outcome.INCONCLUSIVE:
        return Code.TOO_UNCERTAIN if estimate < cells.threshold else Code.ESTIMATE_BEYOND, ""
    return Code.WITHIN, ""


def _needed(parts: Sequence[_Pairs], excused: Sequence[NDArray[np.bool_]], alpha: float, rule: str) -> int | None:
    """Rows per cell that would decide all comparisons but those that are waived."""
    columns: list[tuple[Array, ...]] = []
    least = 1
    for part, mask in zip(parts, excused, strict=True):
        cells, counts = part.cells, ~mask
        variance = cells.variance[part.first] + cells.variance[part.second]
        if cells.widening is not None:
            variance = variance * cells.widening[part.first, part.second] ** 2
        estimate = np.where(part.formed, part.estimate, 0.0)
        threshold, rates = (np.full_like(estimate, value) for value in (cells.threshold, 2.0 * cells.rates))
        columns.append(tuple(array[counts] for array in (estimate, variance, threshold, rates)))
        rows_of_a_unit = float((cells.n / np.maximum(cells.units, 1)).max())
        least = max(least, math.ceil(cells.min_units * max(rows_of_a_unit, 1.0)))
    estimate, variance, threshold, rates = (np.concatenate(arrays) for arrays in zip(*columns, strict=True))
    return rows_needed(estimate, variance, threshold, rates, alpha=alpha, rule=rule, least=least)
