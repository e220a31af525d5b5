"""Which decisions a compression changed, and for whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from edgefair.joint import Group
from edgefair.measure.paired import PairedCounts, one_sided


@dataclass(frozen=True)
class CellFlips:
    """Flips in one (group, label) cell.

    Attributes:
        corrected: rows that only the candidate decides correctly.
        broken: rows that only the reference decides correctly.
        flipped: rows whose decision changed at all.
        p: exact McNemar test of corrected against broken rows, two-sided; 1 without either.
        p_holm: p after Holm's correction over all cells.
        over_representation: share of the cell among all flipped rows over its share among all rows; None without flips.
    """

    group: Group
    label: str
    rows: int
    corrected: int
    broken: int
    flipped: int
    p: float
    p_holm: float
    over_representation: float | None

    @property
    def rate(self) -> float | None:
        """Share of the rows whose decision changed."""
        return self.flipped / self.rows if self.rows else None


def excess_loss_by_group(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """psi_g: what a group loses in accuracy minus what all lose (Hashemizadeh et al., ICLR 2024, eq. 3).

    Args:
        table: of `PairedCounts`.

    Returns:
        float64 [groups], in -1..1; NaN for a group without rows.
    """
    corrected, broken = one_sided(table)
    lost, rows = (broken - corrected).sum(axis=1), table.sum(axis=(1, 2, 3))
    of_group: NDArray[np.float64] = np.divide(lost, rows, out=np.full(len(rows), np.nan), where=rows > 0)
    return of_group - float(lost.sum()) / max(int(rows.sum()), 1)


def cell_flips(paired: PairedCounts) -> tuple[CellFlips, ...]:
    """Flips of every (group, label) cell.

    The exact McNemar test is a binomial test of the corrected among the corrected and broken rows at 1/2 (McNemar,
    Psychometrika 1947).
    """
    table = paired.table
    rows = table.sum(axis=(2, 3))
    stay = np.trace(table, axis1=2, axis2=3)
    corrected, broken = one_sided(table)
    flipped = rows - stay
    p = mcnemar(corrected, broken)
    adjusted = holm(p.ravel()).reshape(p.shape)
    total, all_flipped = int(rows.sum()), int(flipped.sum())
    return tuple(
        CellFlips(
            group=group,
            label=name,
            rows=int(rows[g, y]),
            corrected=int(corrected[g, y]),
            broken=int(broken[g, y]),
            flipped=int(flipped[g, y]),
            p=float(p[g, y]),
            p_holm=float(adjusted[g, y]),
            over_representation=(
                float((flipped[g, y] / all_flipped) / (rows[g, y] / total)) if all_flipped and rows[g, y] else None
            ),
        )
        for g, group in enumerate(paired.groups)
        for y, name in enumerate(paired.classes)
    )


def mcnemar(corrected: NDArray[np.int64], broken: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exact two-sided p-values, same shape."""
    less, more = np.minimum(corrected, broken), np.maximum(corrected, broken)
    at_most = betainc(np.maximum(more, 1), less + 1, 0.5)
    return np.where(more > 0, np.minimum(1.0, 2 * at_most), 1.0)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down adjusted p-values [tests] (Scandinavian Journal of Statistics, 1979)."""
    order = np.argsort(p)
    steps = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted
