"""Reweighing: every (group, label) cell has the same total weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgefair.debias.base import Cells, Debias, inverse_frequency, mean_one

if TYPE_CHECKING:
    from torch import Tensor


class Reweigh(Debias):
    """Weight the loss of a row by its (group s, label y) cell, before training.

    target `equalized-odds`: w(s, y) = rows / (cells * n(s, y)), the inverse cell frequency, so that every cell has the
    same total weight and so every rate of the equalized-odds gap the same say.
    target `parity`: w(s, y) = P(s) P(y) / P(s, y) (Kamiran & Calders, "Data preprocessing techniques for
    classification without discrimination", KAIS 2012, eq. 8): label and group become independent, their margins stay.
    target `labels`: w(y) = rows / (labels * n(y)), blind to the group: the control of a study, without which a method
    that balances labels too cannot be judged.
    """

    sets_weights = True
    few_rows = "each of its rows gets a very large weight, so single rows steer the training"

    def __init__(self, *, target: Literal["equalized-odds", "parity", "labels"] = "equalized-odds") -> None:
        self.target = target

    def start(self, cells: Cells) -> None:
        """Check that every cell has a row (DataError)."""
        cells.require_all("reweigh")

    def row_weights(self, cells: Cells) -> Tensor:
        """Weights float32 [rows] with mean 1."""
        if self.target == "labels":
            return mean_one(cells.counts().sum(0).clamp(min=1).double()[cells.label] ** -1)
        weights = inverse_frequency(cells)
        if self.target == "parity":
            counts = cells.counts().double()
            weights = weights * counts.sum(1)[cells.group] * counts.sum(0)[cells.label]
        return mean_one(weights)
