"""Which of several models to keep, judged on validation rows: accuracy first, among those that keep the constraints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.policy import Policy
from edgefair.decision.recording.corrections import of_number, recorded_gap
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.gates import FLOOR

# A rate of a small cell is drawn towards that of its label as if this many rows had been added.
PRIOR_ROWS = 5.0


@dataclass(frozen=True)
class Standing:
    """A model on the validation rows. Estimates to choose by, no verdict.

    Attributes:
        accuracy: share of right decisions.
        balanced_accuracy: mean recall over the labels.
        worst_group: smallest mean recall of any group, rates of small cells shrunk.
        gap: largest equalized-odds difference of any attribute, rates of small cells shrunk.
        excess: by how much some attribute's gap is above what selection aims at.
        floor_kept: whether `worst_group` reaches the policy's floor, or else is better than chance.
    """

    accuracy: float
    balanced_accuracy: float
    worst_group: float
    gap: float
    excess: float
    floor_kept: bool

    @property
    def feasible(self) -> bool:
        """Whether gap and floor are kept."""
        return self.floor_kept and self.excess <= 0

    @property
    def rank(self) -> tuple[int, float]:
        """Larger is better: least loss of balanced accuracy subject to the gap and the floor.

        Where none keeps the gap, a point of gap costs as much as a point of balanced accuracy; where none keeps the
        floor, the worst group decides. The gap alone never does: a model that decides one class has none.
        """
        if self.feasible:
            return 2, self.balanced_accuracy
        if self.floor_kept:
            return 1, self.balanced_accuracy - self.excess
        return 0, self.worst_group

    @property
    def said(self) -> str:
        """For a line of a log, behind the loss."""
        aim = "aim kept" if self.feasible else "aim not kept"
        return f", on validation rows balanced accuracy {self.balanced_accuracy:.4f}, gap {self.gap:.4f}, {aim}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        stage, value = self.rank
        return {**asdict(self), "feasible": self.feasible, "rank": 10 * stage + value}


@dataclass(frozen=True)
class Aim:
    """What training aims at for one attribute, and where a model is on the validation rows.

    Attributes:
        gap: equalized-odds difference, rates of small cells shrunk.
        threshold: of the policy for the gap: what recorded rows must keep, where it declares error rates.
        share: of the threshold that the gap shall keep.
        worst_group: smallest mean recall of a group, rates of small cells shrunk.
        floor: that it must reach; None where it must be better than chance.
        chance: that it must be better than: mean recall of a model that guesses, likewise.
    """

    attribute: str
    gap: float
    threshold: float
    share: float
    worst_group: float
    floor: float | None
    chance: float

    @property
    def excess(self) -> float:
        """By how much the gap is wider than it shall be; negative where it is kept."""
        return self.gap - self.share * self.threshold

    @property
    def floor_kept(self) -> bool:
        """Whether the worst group is served well enough."""
        return self.worst_group > self.chance if self.floor is None else self.worst_group >= self.floor

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "gap_kept": self.excess <= 0, "floor_kept": self.floor_kept}


def aims(counts: GroupCounts, policy: Policy, *, aim: float) -> tuple[Aim, ...]:
    """What training aims at, attribute by attribute, and where these decisions on validation rows are.

    Args:
        aim: share of the policy's threshold that the gap shall keep. An estimate at the threshold itself is above it
            on other rows half of the time.
    """
    floor, correction = policy.min_balanced_accuracy, of_number(policy, FLOOR)
    least = 1.0 / len(counts.classes) if floor is None else floor
    least = least if correction is None else correction.recorded(least, at_least=True)
    found = []
    for name in policy.attributes:
        rates = shrunk_rates(counts.by(*policy.attributes_of(name)).table)
        found.append(
            Aim(
                attribute=name,
                gap=float(np.ptp(rates, axis=0).max()),
                threshold=recorded_gap(policy, name, counts.classes),
                share=aim,
                worst_group=float(np.diagonal(rates, axis1=1, axis2=2).mean(axis=1).min()),
                floor=None if floor is None else least,
                chance=least,
            )
        )
    return tuple(found)


def standing(counts: GroupCounts, policy: Policy, *, aim: float) -> Standing:
    """Judge decisions on validation rows by what training aims at for all attributes (`aims`)."""
    total = counts.table.sum(axis=0)
    found = aims(counts, policy, aim=aim)
    recall = np.diagonal(total)[total.sum(axis=1) > 0] / total.sum(axis=1)[total.sum(axis=1) > 0]
    return Standing(
        accuracy=float(total.trace() / total.sum()),
        balanced_accuracy=float(recall.mean()),
        worst_group=min(item.worst_group for item in found),
        gap=max(item.gap for item in found),
        excess=max(item.excess for item in found),
        floor_kept=all(item.floor_kept for item in found),
    )


def shrunk_rates(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """P(decision c | group g, label y) with small cells drawn to their label's rate, float64.

    Shape [groups, labels that have rows, classes].
    """
    table = table[:, table.sum(axis=(0, 2)) > 0]
    overall = table.sum(axis=0, keepdims=True) / table.sum(axis=(0, 2))[None, :, None]
    found: NDArray[np.float64] = (table + PRIOR_ROWS * overall) / (table.sum(axis=2, keepdims=True) + PRIOR_ROWS)
    return found
