"""Training rows, in memory or made anew for every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from edgefair.debias import Cells

# From positions of rows, int64 [rows], and a number of rows: batches of graph inputs in the spec's order.
Batches = Callable[[Tensor, int], Iterator[tuple[Tensor, ...]]]


@dataclass(frozen=True)
class TrainingRows:
    """Training rows, wherever they are.

    Attributes:
        batches: the inputs of given rows, each tensor [batch, ...].
        cells: label and sensitive group of every row.
    """

    batches: Batches
    cells: Cells

    @classmethod
    def held(cls, inputs: tuple[Tensor, ...], cells: Cells) -> TrainingRows:
        """Rows that are in memory, encoded: one tensor [rows, ...] per graph input."""

        def batches(order: Tensor, batch_rows: int) -> Iterator[tuple[Tensor, ...]]:
            for index in torch.split(order, batch_rows):
                yield tuple(x[index] for x in inputs)

        return cls(batches, cells)

    def __len__(self) -> int:
        return len(self.cells.label)
