"""Several rows per person: what a rate is then, and how much less they tell than as many independent rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgefair.measure.bounds import Array

# Subjects of equal weight below which a variance between them says nothing: each counts as one row then.
FEW = 30
# What counts: every subject once, however many rows are of it, or every row.
Counted = Literal["people", "rows"]


@dataclass(frozen=True, eq=False)
class Votes:
    """Rates of cells as weighted means over subjects: r = sum_j w_j p_j / sum_j w_j, p_j a subject's own rate.

    With weights w_j = 1 every person counts once, with w_j = n_j every row. All but the first three are [cells].

    Attributes:
        cell, subject: of every pair of a cell and a subject that has rows there, int64 [pairs].
        residual: w_j (p_j - r) / sum w, what a subject adds to the error of the rate, float64 [pairs].
        rows, subjects: how many there are.
        units: (sum w)^2 / sum w^2, as many subjects of equal weight tell as much (Kish 1965).
        rate: r; 0 without rows.
        variance: of r, see `votes`; NaN where it cannot be estimated.
    """

    cell: NDArray[np.int64]
    subject: NDArray[np.int64]
    residual: Array
    rows: NDArray[np.int64]
    subjects: NDArray[np.int64]
    units: Array
    rate: Array
    variance: Array


def votes(
    event: NDArray[np.bool_],
    *,
    cell: NDArray[np.int64],
    subject: NDArray[np.int64],
    cells: int,
    counted: Counted,
) -> Votes:
    """The rate of an event in every cell, and its variance.

    The variance is that between subjects, m/(m-1) sum_j residual_j^2, but at least what the correlation of the rows of
    a subject makes of the weights: r (1 - r) sum_j w_j^2 (rho + (1 - rho) / n_j) / (sum w)^2. There rho >= 0 is
    estimated with one vote per subject: (s^2 / (p (1 - p)) - h) / (1 - h), s^2 the variance of the subjects' rates, p
    their mean, h the mean of 1 / n_j (the analysis of variance of a one-way layout). So neither a heavy subject that
    happens to be decided as the rate says nor subjects who happen to agree make the limits too narrow. Where the rate
    is 0 or 1, or few subjects make the cell, there is no variance to be seen.

    Args:
        event: bool [rows].
        cell: index of every row's cell, < cells; rows of a negative one are left out.
        subject: index of every row's subject, >= 0.
    """
    inside = cell >= 0
    size = int(subject.max(initial=0)) + 1
    key, inverse = np.unique(cell[inside] * size + subject[inside], return_inverse=True)
    owner = key // size
    n = np.bincount(inverse, minlength=len(key)).astype(np.float64)
    own = np.bincount(inverse, weights=event[inside], minlength=len(key)) / n
    weight = np.ones_like(n) if counted == "people" else n

    def summed(values: Array) -> Array:
        return np.bincount(owner, weights=values, minlength=cells).astype(np.float64)

    m, total = summed(np.ones_like(n)), np.maximum(summed(weight), 1)
    rate = summed(weight * own) / total
    residual = weight * (own - rate[owner]) / total[owner]
    bessel = m / np.maximum(m - 1, 1)
    rho = _correlation(summed(own), summed(own**2), summed(1 / n), m)
    spread = rho * summed(weight**2) + (1 - rho) * summed(weight**2 / n)
    least = rate * (1 - rate) * spread / total**2
    units = summed(weight) ** 2 / np.maximum(summed(weight**2), 1)
    seen = (units >= FEW) & (least > 0)
    return Votes(
        cell=owner,
        subject=key % size,
        residual=residual,
        rows=summed(n).astype(np.int64),
        subjects=m.astype(np.int64),
        units=units,
        rate=rate,
        variance=np.where(seen, np.maximum(bessel * summed(residual**2), least), np.nan),
    )


def _correlation(p_sum: Array, squares: Array, inverse_rows: Array, m: Array) -> Array:
    """rho of every cell, from sums over its subjects of their rates, of those squared, and of 1 / n; 1 if not told."""
    count = np.maximum(m, 1)
    mean, h = p_sum / count, inverse_rows / count
    between = (squares - count * mean**2) / np.maximum(m - 1, 1)
    simple = mean * (1 - mean)
    told = (simple > 0) & (h < 1)
    found = (between / np.where(told, simple, 1) - h) / np.where(told, 1 - h, 1)
    return np.where(told, np.clip(found, 0, 1), 1.0)


def widening(parts: Sequence[tuple[Votes, int]], into: Sequence[NDArray[np.int64]], results: int) -> Array:
    """Times how much wider a sum of rates is than rates of independent cells would make it, at least 1: [results].

    sqrt(Var(sum_k c_k r_k) / sum_k Var(r_k)), from the residuals of the subjects, whose rows may lie in several cells.

    Args:
        parts: votes and their coefficient, 1 or -1.
        into: for each, the result that every cell adds to, int64 [cells].
    """
    owner = np.concatenate([to[votes.cell] for (votes, _), to in zip(parts, into, strict=True)])
    who = np.concatenate([votes.subject for votes, _ in parts])
    value = np.concatenate([sign * votes.residual for votes, sign in parts])
    size = int(who.max(initial=0)) + 1
    key, inverse = np.unique(owner * size + who, return_inverse=True)
    joint = np.bincount(inverse, weights=value, minlength=len(key)) ** 2
    together = np.bincount(key // size, weights=joint, minlength=results)
    apart = np.bincount(owner, weights=value**2, minlength=results)
    ratio = together / np.where(apart > 0, apart, 1)
    found: Array = np.sqrt(np.maximum(ratio, 1.0))
    return found


def pair_widening(item: Votes, shape: tuple[int, int]) -> Array | None:
    """The same for the difference of two groups at one label: [groups, groups, labels]; None if none share a subject.

    Args:
        item: votes of cells group * labels + label.
        shape: groups, labels.
    """
    from scipy.sparse import csr_matrix

    groups, labels = shape
    size = int(item.subject.max(initial=0)) + 1
    found = np.ones((groups, groups, labels))
    shared = False
    for label in range(labels):
        here = item.cell % labels == label
        at = (item.subject[here], item.cell[here] // labels)
        shared = shared or len(np.unique(at[0])) < len(at[0])
        table = csr_matrix((item.residual[here], at), shape=(size, groups))
        product = (table.T @ table).toarray()
        apart = np.add.outer(np.diag(product), np.diag(product))
        ratio = (apart - 2 * product) / np.where(apart > 0, apart, 1)
        found[:, :, label] = np.sqrt(np.maximum(ratio, 1.0))
    return found if shared else None


def change_of(plus: Votes, minus: Votes) -> Votes:
    """Votes of the same rows for the difference of two rates, as far as `widening` needs them."""
    return replace(plus, residual=plus.residual - minus.residual)
