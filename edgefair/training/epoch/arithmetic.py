"""How a network computes in a training step: in which numbers, compiled or not, and how pictures lie in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

import torch
from torch import Tensor, nn

from edgefair.debias.base import eager
from edgefair.errors import ModelError, UsageError
from edgefair.training.settings import TrainPlan

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def trainable(network: nn.Module) -> list[nn.Parameter]:
    """The weights that training moves: a network of one's own may have frozen some.

    Raises:
        ModelError: there is none.
    """
    found = [item for item in network.parameters() if item.requires_grad]
    if not found:
        raise ModelError("the network has no weight to train", expected="a parameter with requires_grad")
    return found


def open_optimizer(parameters: list[nn.Parameter], plan: TrainPlan, device: torch.device) -> torch.optim.Optimizer:
    """AdamW: on a GPU all parameters in one kernel, else one after the other."""
    gpu = device.type == "cuda"
    return eager(torch.optim.AdamW)(
        parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay, foreach=None if gpu else False, fused=gpu
    )


class Arithmetic:
    """The forward pass and the optimizer's step of one network.

    With `bf16` and `fp16` what torch's autocast lists (convolutions, matrix products) is computed in 16 bits from
    weights that stay FP32; losses, penalties and everything that methods see is FP32. The loss of `fp16` is scaled up,
    so that small gradients are no zeros, by a factor that follows what overflows (Micikevicius et al., "Mixed precision
    training", ICLR 2018): gradients, and those of an adversary, are larger by the same factor, and a step that
    overflows is left out. Validation and export know nothing of it: the network is judged in FP32, as it ships.

    Attributes:
        forward: the network as it is called in a step.

    Raises:
        UsageError: this machine cannot compile.
    """

    def __init__(self, network: nn.Module, plan: TrainPlan, device: torch.device) -> None:
        self._dtype = DTYPES.get(plan.precision)
        self._device = device
        self._compiled = plan.compile
        self._scaler = torch.amp.GradScaler(device.type, enabled=plan.precision == "fp16")
        with self._explained():
            # What it makes of a module is one.
            compiled = cast(nn.Module, torch.compile(network, dynamic=False)) if plan.compile else network
        self.forward = compiled

    def laid(self, features: Tensor) -> Tensor:
        """Features as the network reads them fastest: pictures of 16 bits on a GPU channel by channel for every pixel.

        Nowhere else: with torch 2.13 the backward pass of convolutions corrupts memory on such pictures on a CPU.
        """
        if self._dtype is None or self._device.type != "cuda" or features.ndim != 4:
            return features
        return features.contiguous(memory_format=torch.channels_last)

    def passing(self) -> AbstractContextManager[None]:
        """A forward pass is computed so in this block.

        Raises:
            UsageError: the network cannot be compiled, or torch cannot compute it in these numbers here.
        """
        plain = self._dtype is None and not self._compiled
        return nullcontext() if plain else self._explained()

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss whose gradients are taken."""
        found: Tensor = self._scaler.scale(loss)
        return found

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Move the parameters by their gradients."""
        if not self._scaler.is_enabled():
            optimizer.step()
            return
        self._scaler.step(optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Tensor]:
        """The factor of the loss, and for how many steps it has been right."""
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in self._scaler.state_dict().items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a stored factor."""
        if state:
            whole = {"growth_interval", "_growth_tracker"}
            self._scaler.load_state_dict(
                {name: int(value) if name in whole else float(value) for name, value in state.items()}
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
                yield
        except RuntimeError as error:
            said = str(error).strip().partition("\n")[0]
            if self._compiled and _is_of_compiling(error):
                raise UsageError(
                    f"train.compile: torch.compile does not work here: {said}",
                    expected="a compiler that torch finds (g++ on a CPU, Triton and gcc on a GPU)",
                    fix="install one, or leave train.compile out",
                ) from error
            if self._dtype is not None and ("not implemented for" in said or "Unsupported dtype" in said):
                raise UsageError(
                    f"train.precision: torch cannot train this network in 16 bits on {self._device.type}: {said}",
                    fix="train.precision: bf16 or fp32",
                ) from error
            raise


def _is_of_compiling(error: RuntimeError) -> bool:
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException) or "torch.compile is not supported" in str(error)
