"""The decision threshold of a model with two classes, chosen on validation rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.decision.choosing.merit import Merit, best_of, merit
from edgefair.decision.policy import Policy
from edgefair.joint import Group
from edgefair.measure.counts import GroupCounts
from edgefair.training.selection import Standing, standing

# Thresholds that are tried: half-way between neighbours of so many quantiles of the scores of either label.
QUANTILES = 24


@dataclass(frozen=True)
class Point:
    """One threshold, and what it makes of every gate of decisions."""

    threshold: float
    merit: Merit


class Scored:
    """Validation rows with the probability of class 1, from which counts at any threshold are quick.

    Args:
        score: P(class 1), float32 [rows].
        attributes: those that are judged.
        classes: two.
    """

    def __init__(
        self, score: NDArray[np.float32], rows: TableRows, attributes: tuple[str, ...], classes: tuple[str, ...]
    ) -> None:
        group, groups = joint_groups(rows.sensitive, attributes)
        self._attributes, self._classes = attributes, classes
        self._groups: tuple[Group, ...] = groups
        self._cells = [[np.sort(score[(group == g) & (rows.label == y)]) for y in (0, 1)] for g in range(len(groups))]
        self._of_label = [np.sort(score[rows.label == y]) for y in (0, 1)]

    def counts(self, threshold: float) -> GroupCounts:
        """Decisions where class 1 is decided at P(class 1) >= threshold."""
        at = np.float32(threshold)
        below = np.array([[np.searchsorted(cell, at) for cell in row] for row in self._cells], dtype=np.int64)
        rows = np.array([[len(cell) for cell in row] for row in self._cells], dtype=np.int64)
        return GroupCounts(self._attributes, self._groups, self._classes, np.stack([below, rows - below], axis=2))

    def thresholds(self, configured: float) -> list[float]:
        """What is tried: the configured one first, and where some rows of a label change sides."""
        return list(dict.fromkeys([configured, *sorted({*self._between()})]))

    def _between(self) -> Iterator[float]:
        for scores in self._of_label:
            if len(scores):
                edges = np.unique(np.quantile(scores.astype(np.float64), np.linspace(0, 1, QUANTILES + 1)))
                yield from (float(np.float32(at)) for at in (edges[1:] + edges[:-1]) / 2)


def best_standing(scored: Scored, policy: Policy, *, aim: float, configured: float) -> Standing:
    """What the model is worth at the threshold at which it is worth most (`training.selection.Standing.rank`).

    Quick, for every epoch: gap and floor of the worst group, without limits.
    """
    found = [standing(scored.counts(at), policy, aim=aim) for at in scored.thresholds(configured)]
    return max(found, key=lambda item: item.rank)


def points(scored: Scored, policy: Policy, *, aim: float, configured: float) -> tuple[Point, list[Point]]:
    """The threshold with the most merit by all gates of decisions (`decision.choosing.merit`), and all that were tried.

    Where the configured one is as good as any, it stays.
    """
    thresholds = scored.thresholds(configured)
    tried = [Point(at, merit(scored.counts(at), policy, aim=aim, tries=len(thresholds))) for at in thresholds]
    return tried[best_of([point.merit for point in tried])], tried
