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

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        stage, value = self.rank
        return {**asdict(self), "feasible": self.feasible, "rank": 10 * stage + value}


def standing(counts: GroupCounts, policy: Policy, *, aim: float) -> Standing:
    """Judge decisions on validation rows, by what recorded rows must keep where the policy declares error rates.

    Args:
        aim: share of the policy's threshold that the gap shall keep. An estimate at the threshold itself is above it
            on other rows half of the time.
    """
    total = counts.table.sum(axis=0)
    worst, gap, excess = 1.0, 0.0, -np.inf
    for name in policy.attributes:
        rates = shrunk_rates(counts.by(*policy.attributes_of(name)).table)
        own = float(np.ptp(rates, axis=0).max())
        gap = max(gap, own)
        excess = max(excess, own - aim * recorded_gap(policy, name, counts.classes))
        worst = min(worst, float(np.diagonal(rates, axis1=1, axis2=2).mean(axis=1).min()))
    floor = policy.min_balanced_accuracy
    least = 1.0 / len(counts.classes) if floor is None else floor
    correction = of_number(policy, FLOOR)
    least = least if correction is None else correction.recorded(least, at_least=True)
    recall = np.diagonal(total)[total.sum(axis=1) > 0] / total.sum(axis=1)[total.sum(axis=1) > 0]
    return Standing(
        accuracy=float(total.trace() / total.sum()),
        balanced_accuracy=float(recall.mean()),
        worst_group=worst,
        gap=gap,
        excess=float(excess),
        floor_kept=worst > least if floor is None else worst >= least,
    )


def shrunk_rates(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """P(decision c | group g, label y) with small cells drawn to their label's rate, float64.

    Shape [groups, labels that have rows, classes].
    """
    table = table[:, table.sum(axis=(0, 2)) > 0]
    overall = table.sum(axis=0, keepdims=True) / table.sum(axis=(0, 2))[None, :, None]
    found: NDArray[np.float64] = (table + PRIOR_ROWS * overall) / (table.sum(axis=2, keepdims=True) + PRIOR_ROWS)
    return found
