"""Balanced sampling: every (group, label) cell is drawn equally often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefair.debias.base import Cells, Debias, inverse_frequency

if TYPE_CHECKING:
    from torch import Tensor


class Balance(Debias):
    """Draw the rows of an epoch with replacement, each (group, label) cell with the same probability.

    In expectation the loss is that of `reweigh`; the noise differs, because a rare row comes again and again instead of
    once with a large weight (Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR
    2022).
    """

    sets_weights = True
    few_rows = "its rows are drawn again and again, and a large network memorizes them"

    def start(self, cells: Cells) -> None:
        """Check that every cell has a row (DataError)."""
        cells.require_all("balance")

    def sampling_weights(self, cells: Cells) -> Tensor:
        """Inverse cell frequency, float32 [rows]."""
        return inverse_frequency(cells).float()
