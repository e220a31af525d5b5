"""Per-cell weighted cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from edgefair.debias.base import Cells, Debias, inverse_frequency, mean_one
from edgefair.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


class WeightedLoss(Debias):
    """Weight the loss of a row by n(s, y) ** -power, normalized within its batch, at most `cap` times the average row.

    The seed's weighted loss. power 1 is the inverse cell frequency of `reweigh`, 0.5 a compromise between it and the
    data as they are; the cap keeps a cell of a handful of rows from steering a batch, and a cell without rows simply
    has no say.
    """

    sets_weights = True
    search: ClassVar[Mapping[str, tuple[float, float]]] = {"power": (0.5, 1.5)}
    few_rows = "the weight of its rows is capped, so the cell counts for less than the others"

    def __init__(self, *, power: float = 1.0, cap: float = 20.0) -> None:
        if not 0 < power <= 2:
            raise UsageError(f"weighted-loss: power is {power}", expected="above 0, at most 2")
        if cap < 1:
            raise UsageError(f"weighted-loss: cap is {cap}", expected="at least 1")
        self.power = power
        self.cap = cap
        self._of_cell: dict[tuple[int, int], float] = {}

    def start(self, cells: Cells) -> None:
        """Take the weight of every cell."""
        weights = mean_one(inverse_frequency(cells, power=self.power)).clamp(max=self.cap)
        found = zip(cells.group.tolist(), cells.label.tolist(), weights.tolist(), strict=True)
        self._of_cell = {(group, label): weight for group, label, weight in found}

    def batch_weights(self, losses: Tensor, label: Tensor, group: Tensor) -> Tensor:
        """Weights float32 [batch] with mean 1."""
        cells = zip(group.tolist(), label.tolist(), strict=True)
        return mean_one(losses.new_tensor([self._of_cell[cell] for cell in cells]))
