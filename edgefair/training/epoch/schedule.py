"""Which rows an epoch uses, how often, and how much each counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgefair.debias import Debias
from edgefair.errors import DataError
from edgefair.training.engine import Engine
from edgefair.training.rows import TrainingRows
from edgefair.training.settings import TrainPlan


@dataclass(frozen=True)
class Schedule:
    """Which rows an epoch uses, and how much each counts.

    Attributes:
        rows: all there are.
        used: rows of an epoch.
        weights: of every row in the loss, float32 [rows] with mean 1; None for 1 each.
        sampling: how often a row is drawn, float32 [rows]; None for once per epoch.
    """

    rows: int
    used: int
    weights: Tensor | None
    sampling: Tensor | None

    @classmethod
    def of(cls, rows: TrainingRows, methods: Sequence[Debias], config: TrainPlan, engine: Engine) -> Schedule:
        """The schedule of some rows that methods weigh.

        Raises:
            DataError: batches that cannot be shared by the processes.
        """
        # Every process needs the same number of rows, and two of them, because one has no variance to normalize by:
        # the rows that are over (others in every epoch) wait.
        if config.batch_rows % engine.processes:
            raise DataError(
                f"train.batch_rows is {config.batch_rows} for {engine.processes} processes",
                expected=f"a multiple of {engine.processes}",
            )
        over = len(rows) % config.batch_rows
        last = over - over % engine.processes
        used = len(rows) - over + (last if last >= 2 * engine.processes or len(rows) == 1 else 0)
        sampling = _product(method.sampling_weights(rows.cells) for method in methods)
        weights = _product(method.row_weights(rows.cells) for method in methods)
        return cls(len(rows), used, None if weights is None else weights / weights.mean(), sampling)

    def order(self) -> Tensor:
        """The rows of one epoch, int64 [used], from the global random state."""
        if self.sampling is None:
            return torch.randperm(self.rows)[: self.used]
        edges = self.sampling.double().cumsum(0)
        return torch.searchsorted(edges, torch.rand(self.used, dtype=torch.float64) * edges[-1]).clamp(
            max=len(edges) - 1
        )


def _product(parts: Iterator[Tensor | None]) -> Tensor | None:
    found: Tensor | None = None
    for part in parts:
        if part is not None:
            found = part if found is None else found * part
    return found
