"""Families of pairwise comparisons: the absolute and the paired gate are both one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.recording.misclassification import Correction
from edgefair.decision.reference.joined import OF_CHANGE, Limited, Parts
from edgefair.decision.verdict import LISTED, TIE, Code, Comparison, Outcome, comparison_name, worst
from edgefair.decision.waivers import Wanted, named
from edgefair.measure.bounds import Array, absolute, mover
from edgefair.measure.design import widened
from edgefair.measure.exact import confirmed
from edgefair.measure.planning import rows_needed

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
        audited: the rates of the reference, which these, changes by compression, are added to; None where these are
            rates themselves.
        correction: from differences of recorded cells to true ones; None where the records are taken as true.
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
    audited: Cells | None = None
    correction: Correction | None = None

    def rate(self, alpha: float) -> Array:
        """The estimates, [groups, labels, measures]."""
        return self.limits(alpha)[0] + (0.0 if self.audited is None else self.audited.rate(alpha))


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
    """Comparisons of one attribute as arrays, each [pairs, labels, measures].

    Attributes:
        rate, estimate: as recorded.
        upper: limit at alpha, as `lower`: of the true difference.
        kept: what the recorded difference must keep for the true one to keep the threshold.
    """

    cells: Cells
    rate: Array
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    estimate: Array
    upper: Array
    judged: NDArray[np.bool_]
    formed: NDArray[np.bool_]
    parts: Parts | None
    correction: Correction | None
    kept: Array

    def lower(self, level: float) -> Array:
        found = _pair_limits(self.cells, self.first, self.second, level)[1]
        return found if self.correction is None else self.correction.lower(found)


def judge(
    family: Sequence[Cells], *, alpha: float, rule: str, claims: float = 1, waived: frozenset[Wanted] = frozenset()
) -> FamilyResult:
    """Judge every pair of groups of every attribute.

    PASS claims that all differences are small, so every upper limit is taken at alpha (an intersection-union test,
    Berger & Hsu 1996); of independent rows it is confirmed by the exact test (`measure.exact`). FAIL claims that some
    difference is large, so lower limits are corrected over the m comparisons of the family: Holm's step-down at
    a / (2 m), a / (2 (m - 1)), ... with a = alpha / claims (Holm, Scand. J. Stat. 1979). It needs no least number of
    rows: limits of few rows are wide enough; those of few subjects rest on a variance that so few do not tell.

    Args:
        claims: families and gates that share the error of FAIL; more where looks share it too.
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


def shown(family: Sequence[Cells], *, alpha: float, rule: str, waived: frozenset[Wanted] = frozenset()) -> bool:
    """Whether `judge` says PASS, and nothing else: what is shown to be within its threshold is not beyond it as well.

    Raises:
        PolicyError: as `judge`.
    """
    parts = [_pairs(cells, alpha) for cells in family]
    found = [_within(part, rule)[~mask] for part, mask in zip(parts, _locate(parts, waived), strict=True)]
    return any(part.size for part in found) and all(part.all() for part in found)


def _pairs(cells: Cells, alpha: float) -> _Pairs:
    first, second = np.triu_indices(len(cells.groups), k=1)
    parts = _parts(cells, first, second, alpha)
    estimate, _, upper = absolute(*(_signed(cells, first, second, alpha) if parts is None else parts.total))
    rows = np.minimum(cells.n[first], cells.n[second])[:, :, None]
    units = np.minimum(cells.units[first], cells.units[second])[:, :, None]
    judged = np.broadcast_to(units >= cells.min_units, estimate.shape)
    correction = None if cells.correction is None else cells.correction.at(first, second)
    kept = cells.threshold if correction is None else correction.threshold(cells.threshold)
    kept = np.broadcast_to(kept, estimate.shape)
    within = judged & (upper <= kept)
    of = cells if cells.audited is None else cells.audited
    if of.successes is not None and within.any():
        if parts is None:
            upper = _confirmed(of.successes, of.n, (first, second), upper, within, kept, alpha)
        else:
            at, label, measure = np.nonzero(within)
            one, other = first[at], second[at]
            x = of.successes[one, label, measure], of.successes[other, label, measure]
            parts = parts.proven(x, (of.n[one, label], of.n[other, label]), within, alpha)
            upper = absolute(*parts.total)[2]
    return _Pairs(
        cells=cells,
        rate=cells.rate(alpha),
        first=first,
        second=second,
        estimate=estimate,
        upper=upper if correction is None else correction.upper(upper),
        judged=judged,
        formed=np.broadcast_to(rows > 0, estimate.shape),
        parts=parts,
        correction=correction,
        kept=kept,
    )


def _confirmed(
    successes: NDArray[np.int64],
    n: NDArray[np.int64],
    sides: tuple[NDArray[np.intp], NDArray[np.intp]],
    upper: Array,
    within: NDArray[np.bool_],
    kept: Array,
    alpha: float,
) -> Array:
    """Upper limits of recorded differences, raised where those `within` what is to be kept fail the exact test."""
    found = upper.copy()
    for threshold in np.unique(kept[within]).tolist():
        here = within & (kept == threshold)
        pair, label, measure = np.nonzero(here)
        x_1, x_2 = (successes[side[pair], label, measure] for side in sides)
        n_1, n_2 = (n[side[pair], label] for side in sides)
        found[here] = confirmed(upper[here], (x_1, x_2), (n_1, n_2), threshold=threshold, alpha=alpha)
    return found


def _pair_limits(
    cells: Cells, first: NDArray[np.intp], second: NDArray[np.intp], level: float
) -> tuple[Array, Array, Array]:
    parts = _parts(cells, first, second, level)
    return absolute(*(_signed(cells, first, second, level) if parts is None else parts.total))


def _parts(cells: Cells, first: NDArray[np.intp], second: NDArray[np.intp], level: float) -> Parts | None:
    """What joined differences are the sums of; None where they were measured at once."""
    audited = cells.audited
    if audited is None:
        return None
    return Parts.of(
        lambda share: _signed(audited, first, second, share), lambda share: _signed(cells, first, second, share), level
    )


def _signed(cells: Cells, first: NDArray[np.intp], second: NDArray[np.intp], level: float) -> Limited:
    value, lower, upper = cells.limits(level)
    found = mover(value[first], lower[first], upper[first], value[second], lower[second], upper[second])
    return found if cells.widening is None else widened(found, cells.widening[first, second])


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


def _within(part: _Pairs, rule: str) -> NDArray[np.bool_]:
    """Comparisons shown to be within their threshold."""
    return part.judged & (part.upper <= part.cells.threshold if rule == "bound" else part.estimate <= part.kept + TIE)


def _outcomes(part: _Pairs, fails: NDArray[np.bool_], rule: str) -> NDArray[np.int8]:
    """Position in `OUTCOMES` of every comparison's outcome."""
    return np.where(fails, FAILS, np.where(_within(part, rule), PASSES, UNSURE)).astype(np.int8)


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
    joined = None
    if part.parts is not None and cells.audited is not None:
        joined = part.parts.at(index, int(cells.audited.n[a, label]), int(cells.audited.n[b, label]))
    result = OUTCOMES[int(outcome[index])]
    kept = float(part.kept[index])
    code, reason = _why(cells, (a, b), label, result, near=estimate < kept)
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
        joined=joined if formed else None,
        corrected_threshold=None if part.correction is None else kept,
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


def _why(cells: Cells, pair: tuple[int, int], label: int, outcome: Outcome, *, near: bool) -> tuple[Code, str]:
    """Why a comparison has its outcome, and which rows it lacks, in words.

    Args:
        near: whether the estimate would pass if there were rows enough.
    """
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
        return Code.TOO_UNCERTAIN if near else Code.ESTIMATE_BEYOND, ""
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
        estimate = np.where(part.formed, part.estimate, 0.0) + (0.0 if part.parts is None else part.parts.taken)
        rates = np.full_like(estimate, 2.0 * cells.rates)
        columns.append(tuple(array[counts] for array in (estimate, variance, part.kept, rates)))
        rows_of_a_unit = float((cells.n / np.maximum(cells.units, 1)).max())
        least = max(least, math.ceil(cells.min_units * max(rows_of_a_unit, 1.0)))
    estimate, variance, threshold, rates = (np.concatenate(arrays) for arrays in zip(*columns, strict=True))
    level = alpha if all(part.parts is None for part in parts) else OF_CHANGE * alpha
    return rows_needed(estimate, variance, threshold, rates, alpha=level, rule=rule, least=least)
