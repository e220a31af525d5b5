"""Training rows, in memory or made anew for every batch, on the device that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor

from edgefair.data.files.encoded import Arrays, EncodedRows
from edgefair.debias import Cells

# From positions of rows, int64 [rows], and a number of rows: batches of graph inputs in the spec's order, on the device
# of the positions.
Batches = Callable[[Tensor, int], Generator[tuple[Tensor, ...], None, None]]
# Share of a device's free memory that rows may take there.
SHARE = 0.25


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
        return cls(_HeldRows(inputs).batches, cells)

    @classmethod
    def made(cls, encoded: EncodedRows, names: Sequence[str], cells: Cells) -> TrainingRows:
        """Rows that are made when they are needed; `names` are the graph inputs in the spec's order."""
        return cls(_MadeRows(encoded, names).batches, cells)

    def __len__(self) -> int:
        return len(self.cells.label)


class _HeldRows:
    """Rows in memory; once more on the device that asks for them, where it has room: nothing is copied in a step then.

    Args:
        inputs: one tensor [rows, ...] per graph input.
    """

    def __init__(self, inputs: tuple[Tensor, ...]) -> None:
        self._on = {inputs[0].device: inputs}

    def batches(self, order: Tensor, batch_rows: int) -> Generator[tuple[Tensor, ...], None, None]:
        """Rows as `Batches` gives them."""
        here = self._there(order.device)
        for index in torch.split(order.to(here[0].device), batch_rows):
            yield on_device(tuple(x[index] for x in here), order.device)

    def _there(self, device: torch.device) -> tuple[Tensor, ...]:
        if device not in self._on:
            first = next(iter(self._on.values()))
            if device.type == "cuda" and sum(x.nbytes for x in first) > SHARE * torch.cuda.mem_get_info(device)[0]:
                return first
            self._on[device] = tuple(x.to(device) for x in first)
        return self._on[device]


class _MadeRows:
    """Rows that are made when they are needed; as rows in memory once all are there."""

    def __init__(self, encoded: EncodedRows, names: Sequence[str]) -> None:
        self._encoded, self._names = encoded, names
        self._held: _HeldRows | None = None

    def batches(self, order: Tensor, batch_rows: int) -> Generator[tuple[Tensor, ...], None, None]:
        """Rows as `Batches` gives them."""
        if self._held is None and (whole := self._encoded.whole) is not None:
            self._held = _HeldRows(self._tensors(whole))
        if self._held is not None:
            yield from self._held.batches(order, batch_rows)
            return
        with closing(self._encoded.batches(order.cpu().numpy(), batch_rows)) as batches:
            for batch in batches:
                yield on_device(self._tensors(batch), order.device)

    def _tensors(self, arrays: Arrays) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(arrays[name]) for name in self._names)


def on_device(batch: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    """A batch on a device. To a GPU it is copied, from memory that stays in place, while earlier steps are computed."""
    if device.type != "cuda":
        return tuple(x.to(device) for x in batch)
    return tuple(x if x.is_cuda else x.pin_memory().to(device, non_blocking=True) for x in batch)
