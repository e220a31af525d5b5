"""The responses of a cell: functions of its counts, of the counts paired with another model's, and of its scores."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import DataError
from edgefair.joint import group_name
from edgefair.measure import metrics
from edgefair.measure.bounds import Array, absolute, clopper_pearson, mover
from edgefair.measure.counts import GroupCounts
from edgefair.measure.flips import cell_flips, excess_loss_by_group
from edgefair.measure.metrics import Tabled
from edgefair.measure.paired import PairedCounts
from edgefair.measure.scores import auc_interval
from edgefair.study.power import ALPHA

# Of the way from chance to perfect, the share below which a model has collapsed: 55 % with two classes.
COLLAPSED = 0.1
# Operating points that are tried: at most this many, at quantiles of the scores.
CANDIDATES = 512


@dataclass(frozen=True)
class Decided:
    """What counts say, under the names of the table's columns; None where a cell (group, label) has no rows."""

    gap: float | None
    gap_lower: float | None
    gap_upper: float | None
    tpr_gap: float | None
    fpr_gap: float | None
    accuracy: float
    balanced: float | None
    worst_balanced: float | None
    worst_accuracy: float | None
    collapsed: bool


@dataclass(frozen=True)
class Refitted:
    """The gap at an operating point of the model's own.

    Attributes:
        refitted_threshold: on P(class 1).
        refit_rows: the rows that it was chosen on, in words: the gap changes its sign with them.
    """

    refitted_gap: float | None
    refitted_threshold: float
    refit_rows: str


def decided(counts: GroupCounts, *, alpha: float = ALPHA) -> Decided:
    """The responses of counts.

    Raises:
        DataError: no rows.
    """
    if not counts.n:
        raise DataError("counts without rows have no response", expected="the decisions of an audit set")
    two = len(counts.classes) == 2
    lower, upper = gap_limits(counts, alpha=alpha)
    return Decided(
        gap=metrics.equalized_odds_difference(counts),
        gap_lower=lower,
        gap_upper=upper,
        tpr_gap=metrics.difference(counts, "equal_opportunity_difference") if two else None,
        fpr_gap=metrics.difference(counts, "false_positive_rate_difference") if two else None,
        accuracy=float(np.trace(counts.table.sum(axis=0)) / counts.n),
        balanced=balanced_accuracy(counts),
        worst_balanced=metrics.worst_group_balanced_accuracy(counts),
        worst_accuracy=metrics.worst_group_accuracy(counts),
        collapsed=is_collapsed(counts),
    )


def gap_limits(counts: GroupCounts, *, alpha: float = ALPHA) -> tuple[float | None, float | None]:
    """Limits of the equalized-odds gap, for showing; None where a cell has no rows, or there is one group.

    The largest lower limit over pairs at alpha / 2m and the largest upper limit at alpha, Clopper-Pearson joined by
    MOVER: those of the verdict (docs/verdict.md), where no policy declares more.
    """
    table = counts.table
    n = table.sum(axis=2)
    if len(table) < 2 or (n == 0).any():
        return None, None
    # Of two classes, the decisions for class 1 say all.
    x = table[:, :, 1:] if table.shape[2] == 2 else table
    one, other = np.triu_indices(len(table), 1)
    trials = np.broadcast_to(n[:, :, None], x.shape)

    def limits(level: float) -> tuple[Array, Array, Array]:
        rate = x / trials
        low, high = clopper_pearson(x, trials, level)
        return absolute(*mover(rate[one], low[one], high[one], rate[other], low[other], high[other]))

    pairs = len(one) * x.shape[1] * x.shape[2]
    return float(limits(alpha / (2 * pairs))[1].max()), float(limits(alpha)[2].max())


def balanced_accuracy(counts: Tabled) -> float | None:
    """Mean recall over the labels, of all groups together."""
    table = counts.table.sum(axis=0)
    n = table.sum(axis=1)
    return float((np.diagonal(table) / n).mean()) if (n > 0).all() else None


def is_collapsed(counts: GroupCounts) -> bool:
    """Whether the model finds nobody: one class for all, or at most a tenth of the way from chance to perfect.

    balanced accuracy <= 1/K + 0.1 (1 - 1/K) for K classes. Such a model's small gap says nothing of fairness.
    """
    balanced, chance = balanced_accuracy(counts), 1 / len(counts.classes)
    if np.count_nonzero(counts.table.sum(axis=(0, 1))) < 2:
        return True
    return balanced is not None and balanced <= chance + COLLAPSED * (1 - chance) + 1e-12


def operating_point(score: Array, label: NDArray[np.int64]) -> float:
    """The threshold on P(class 1) with the most balanced accuracy on these rows; of equal ones that nearest to 0.5.

    Args:
        score: P(class 1), finite, [rows].
        label: 0 or 1, [rows].

    Raises:
        DataError: not two labels, or scores that are no numbers.
    """
    if len(score) != len(label) or not np.isfinite(score).all():
        raise DataError("an operating point needs a finite score for every row")
    positive, negative = np.sort(score[label == 1]), np.sort(score[label == 0])
    if not len(positive) or not len(negative) or len(positive) + len(negative) != len(label):
        raise DataError("the rows that refit the operating point lack a label", expected="rows of both labels, 0 and 1")
    distinct = np.unique(score)
    tried = np.concatenate([[0.5], (distinct[1:] + distinct[:-1]) / 2])
    if len(tried) > CANDIDATES:
        tried = np.concatenate([[0.5], np.quantile(tried[1:], np.linspace(0, 1, CANDIDATES - 1))])
    found = 1 - np.searchsorted(positive, tried) / len(positive)
    spared = np.searchsorted(negative, tried) / len(negative)
    best = np.lexsort((np.abs(tried - 0.5), -np.round(found + spared, 12)))[0]
    return float(tried[best])


def refitted(
    audit: tuple[Array, NDArray[np.int64], NDArray[np.int64]],
    fit: tuple[Array, NDArray[np.int64]],
    *,
    rows: str,
) -> Refitted:
    """The gap on the audit rows at the operating point that is best on other rows.

    Args:
        audit: score [rows], label 0 or 1 [rows], index of the group [rows].
        fit: score and label of the rows that refit it; never the audit rows.
        rows: what those rows are, as "2,000 validation rows with 10 % noise".

    Raises:
        DataError: see `operating_point`; nobody said which rows.
    """
    if not rows.strip():
        raise DataError("nobody says which rows refit the operating point", expected="as '2,000 validation rows'")
    at = operating_point(*fit)
    score, label, group = audit
    table = np.zeros((int(group.max()) + 1 if len(group) else 0, 2, 2))
    np.add.at(table, (group, label, (score >= at).astype(np.int64)), 1)
    found = metrics.equalized_odds_difference(metrics.Estimated(("0", "1"), table))
    return Refitted(found, at, rows)


def auc_gap(score: Array, label: NDArray[np.int64], group: NDArray[np.int64]) -> float | None:
    """max_g AUC_g - min_g AUC_g, which no threshold moves; None where a group lacks a label, or there is one group."""
    groups = np.unique(group)
    found = [auc_interval(score[group == one], label[group == one], level=ALPHA) for one in groups]
    known = [item.value for item in found if item is not None]
    return float(np.ptp(known)) if len(known) == len(found) >= 2 else None


def psi_max(paired: PairedCounts) -> float | None:
    """max_g of psi_g; None with one group, or where one has no rows."""
    found = excess_loss_by_group(paired.table)
    return None if len(found) < 2 or np.isnan(found).any() else float(found.max())


def flip_rate(paired: PairedCounts) -> float | None:
    """Share of the rows that the two models decide differently."""
    same = np.trace(paired.table, axis1=2, axis2=3).sum()
    return float(1 - same / paired.n) if paired.n else None


def flips_json(dense: PairedCounts | None, control: PairedCounts | None) -> str:
    """Flips of every (group, label) cell against the dense model and against the control, as one JSON text."""
    found = {
        name: [
            {**{key: value for key, value in asdict(item).items() if key != "group"}, "group": group_name(item.group)}
            for item in cell_flips(paired)
        ]
        for name, paired in (("dense", dense), ("control", control))
        if paired is not None
    }
    return json.dumps(found, sort_keys=True)
