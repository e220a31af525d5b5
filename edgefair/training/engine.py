"""Where a training step runs: in this process, or in several that share every batch."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Engine:
    """One process.

    With more than one (`Together`), every process computes the logits of its part of a batch, all logits are gathered,
    and the loss of the whole batch is computed everywhere from the same numbers. So group counts, group losses, dual
    variables and adversaries are those of the batch, never averages over parts of it. Only the gradients are summed.
    """

    processes = 1
    main = True

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.rank = 0

    def part(self, order: Tensor, batch_rows: int) -> Tensor:
        """The positions of `order` that this process computes, batch by batch."""
        pieces = [piece.chunk(self.processes)[self.rank] for piece in torch.split(order, batch_rows)]
        return torch.cat(pieces)

    def whole(self, part: Tensor) -> Tensor:
        """The whole batch [batch, ...] from this process's part; gradients flow into that part alone."""
        return part

    def sum(self, gradients: Sequence[Tensor]) -> None:
        """Add up gradients over the processes, in place."""

    def agree(self, model: nn.Module) -> None:
        """Average what each process measured on its own rows (batch-norm statistics), in place."""

    def wait(self) -> None:
        """Until every process is here."""


class Together(Engine):
    """Processes started by `accelerate launch` (or by `edgefair train --launcher accelerate`)."""

    def __init__(self) -> None:
        from accelerate import Accelerator

        self._accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self.processes = self._accelerator.num_processes
        self.rank = self._accelerator.process_index
        self.main = self._accelerator.is_main_process
        self.device = self._accelerator.device

    def whole(self, part: Tensor) -> Tensor:
        """Gather; the own part keeps its graph."""
        gathered = self._accelerator.gather(part.detach())
        pieces = list(gathered.chunk(self.processes))
        pieces[self.rank] = part
        return torch.cat(pieces)

    def sum(self, gradients: Sequence[Tensor]) -> None:
        """Add up gradients over the processes, in one message."""
        flat = self._accelerator.reduce(torch.cat([item.flatten() for item in gradients]), reduction="sum")
        start = 0
        for item in gradients:
            item.copy_(flat[start : start + item.numel()].view_as(item))
            start += item.numel()

    def agree(self, model: nn.Module) -> None:
        """Average the floating-point buffers."""
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.copy_(self._accelerator.reduce(buffer.clone(), reduction="mean"))

    def wait(self) -> None:
        """A barrier."""
        self._accelerator.wait_for_everyone()


def open_engine() -> Engine:
    """This process alone, or one of several where a launcher has set WORLD_SIZE."""
    return Together() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Engine()
