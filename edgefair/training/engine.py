"""Where a training step runs: on which device, and in this process or in several that share every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from edgefair.errors import UsageError
from edgefair.training.settings import DeviceName

CPU = torch.device("cpu")


class Engine:
    """One process, and the one place that chooses a device: everything else is on the CPU, before and after.

    With more than one (`Together`), every process computes the logits of its part of a batch, all logits are gathered,
    and the loss of the whole batch is computed everywhere from the same numbers. So group counts, group losses, dual
    variables and adversaries are those of the batch, never averages over parts of it. Only the gradients are summed.

    Args:
        device: `train.device`.

    Raises:
        UsageError: there is no such device.
    """

    processes = 1
    main = True

    def __init__(self, device: DeviceName = "auto") -> None:
        self.device = _chosen(device)
        self.rank = 0

    @contextmanager
    def lent(self, *networks: nn.Module) -> Iterator[None]:
        """Networks on this device, which computes as written; whatever happens, they come back to the CPU."""
        try:
            for network in networks:
                network.to(self.device)
            with as_written() if self.device.type == "cuda" else nullcontext():
                yield
        finally:
            for network in networks:
                network.to(CPU)

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

    def __init__(self, device: DeviceName = "auto") -> None:
        from accelerate import Accelerator

        self._accelerator = Accelerator(cpu=_chosen(device) == CPU)
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


@contextmanager
def as_written() -> Iterator[None]:
    """float32 is float32, and a run that is resumed ends with the same weights, as on the CPU. All is put back.

    No TF32, cuDNN's default for convolutions: with 10 bits of mantissa a network learns what the exported file, which
    computes in float32, does not do. And the deterministic kernels, where PyTorch has one: where it has none, it warns,
    and a resumed run may differ in the last bits.
    """
    # cuBLAS reads it when it starts; without it PyTorch takes matrix products for indeterminate.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    precision = torch.get_float32_matmul_precision()
    mode = torch.get_deterministic_debug_mode()
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_deterministic_debug_mode(mode)


def open_engine(device: DeviceName = "auto") -> Engine:
    """This process alone, or one of several where a launcher has set WORLD_SIZE; see `Engine`."""
    return Together(device) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Engine(device)


def _chosen(device: DeviceName) -> torch.device:
    """The device of a name: `auto` is the NVIDIA GPU where there is one.

    Raises:
        UsageError: there is none, and it was asked for.
    """
    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise UsageError(
            "train.device is cuda, and PyTorch finds no NVIDIA GPU",
            expected="a driver, and a build of PyTorch for CUDA",
            fix="set train.device to auto or cpu",
        )
    return torch.device("cuda") if found and device != "cpu" else CPU
