"""Reweighing: every (group, label) cell counts alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgefair.debias.base import Cells, Debias
from edgefair.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


class Reweigh(Debias):
    """Weight the loss of a row by its (group s, label y) cell, before training.

    target `equalized-odds`: w(s, y) = rows / (cells * n(s, y)), the inverse cell frequency, so that every cell has the
    same total weight and so every rate of the equalized-odds gap the same say.
    target `parity`: w(s, y) = P(s) P(y) / P(s, y) (Kamiran & Calders, "Data preprocessing techniques for
    classification without discrimination", KAIS 2012, eq. 8): label and group become independent, their margins stay.
    """

    def __init__(self, *, target: Literal["equalized-odds", "parity"] = "equalized-odds") -> None:
        self.target = target

    def row_weights(self, cells: Cells) -> Tensor:
        """Weights float32 [rows] with mean 1.

        Raises:
            DataError: a cell has no training row, so no weight can make it count.
        """
        counts = cells.counts().double()
        if (counts == 0).any():
            group, label = (counts == 0).nonzero()[0].tolist()
            raise DataError(
                f"no training row has group '{cells.groups[group]}' and label '{cells.classes[label]}'",
                expected="at least one row in every (group, label) cell for debias method 'reweigh'",
                fix="add such rows to the training split, or leave that attribute out of the policy",
            )
        total = counts.sum()
        if self.target == "parity":
            weights = counts.sum(1, keepdim=True) * counts.sum(0, keepdim=True) / (total * counts)
        else:
            weights = total / (counts.numel() * counts)
        return weights[cells.group, cells.label].float()
