"""Layers that compute as if they were INT8, and can be trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from edgefair.compress.quantization.recipe import CODES, Activations
from edgefair.compress.quantization.weights import LARGEST

# Share of a batch's own limits in the moving range of an activation.
MOMENTUM = 0.05
TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Grid:
    """Which values a weight and an activation may have; that of `qdq.Writer` and `weights.encode`.

    Attributes:
        bits: of a weight, a key of `weights.LARGEST`.
        weights: one scale per output channel, or one for all.
        activations: type of the codes that a layer reads.
        integer_bias: whether a bias is a whole number of (scale of rows times scale of weight).
    """

    bits: int
    weights: Literal["per-channel", "per-tensor"]
    activations: Activations
    integer_bias: bool

    def weight(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """w on its grid, s round(w / s) with s = max |w| / largest code, and s; the gradient passes unchanged."""
        largest = LARGEST[self.bits]
        if self.weights == "per-tensor":
            scale = _usable(w.detach().abs().amax() / largest)
            return torch.fake_quantize_per_tensor_affine(w, scale, _zeros(scale), -largest, largest), scale
        scale = _usable(w.detach().flatten(1).abs().amax(1) / largest)
        return torch.fake_quantize_per_channel_affine(w, scale, _zeros(scale), 0, -largest, largest), scale

    def activation(self, x: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """x on the grid of a range, widened to hold zero, and its scale; outside the range no gradient passes."""
        first, last = CODES[self.activations]
        low, high = low.clamp(max=0.0), high.clamp(min=0.0)
        if self.activations == "int8-symmetric":
            high = torch.maximum(-low, high)
            low = -high
        scale = _usable((high - low) / (last - first))
        zero = torch.round(first - low / scale).clamp(first, last).to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, first, last), scale

    def bias(self, b: Tensor, scale: Tensor) -> Tensor:
        """b as a whole number of scales; the gradient passes unchanged."""
        return b + (torch.round(b / scale) * scale - b).detach() if self.integer_bias else b


class Simulated(nn.Module):
    """What a layer gains: its grid, and the range of what it reads, which follows the batches in training."""

    grid: Grid
    low: Tensor
    high: Tensor

    def rounded(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, *, fused: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the layer reads, its weight and its bias, on their grids.

        Args:
            fused: whether the bias is part of the layer in an exported graph, and not a sum behind it.
        """
        if self.training:
            self.low.lerp_(x.detach().amin(), MOMENTUM)
            self.high.lerp_(x.detach().amax(), MOMENTUM)
        x, x_scale = self.grid.activation(x, self.low, self.high)
        weight, scale = self.grid.weight(weight)
        return x, weight, self.grid.bias(bias, x_scale * scale) if bias is not None and fused else bias


class SimulatedLinear(nn.Linear, Simulated):
    """A Linear in simulated INT8."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        return nn.functional.linear(*self.rounded(x, self.weight, self.bias, fused=x.dim() == 2))


class SimulatedConv2d(nn.Conv2d, Simulated):
    """A Conv2d in simulated INT8."""

    def forward(self, x: Tensor) -> Tensor:
        """[rows, in, height, width] -> [rows, out, height, width]."""
        found: Tensor = self._conv_forward(*self.rounded(x, self.weight, self.bias, fused=True))
        return found


SIMULATED: dict[type[nn.Module], type[Simulated]] = {nn.Linear: SimulatedLinear, nn.Conv2d: SimulatedConv2d}
PLAIN = {simulated: plain for plain, simulated in SIMULATED.items()}


def simulate(module: nn.Module, grid: Grid, low: float, high: float) -> None:
    """Make a layer a simulated one, in place: whoever refers to it keeps it, and its weights keep their names."""
    module.register_buffer("low", torch.tensor(low))
    module.register_buffer("high", torch.tensor(high))
    module.__class__ = SIMULATED[type(module)]
    module.grid = grid  # type: ignore[assignment]


def restore(module: Simulated) -> tuple[float, float]:
    """Make a simulated layer a plain one again, in place; the range of what it read."""
    limits = float(module.low), float(module.high)
    del module.low, module.high, module.grid
    module.__class__ = PLAIN[type(module)]  # type: ignore[assignment]
    return limits


def _usable(scale: Tensor) -> Tensor:
    return torch.where(scale < TINY, 1.0, scale)


def _zeros(scale: Tensor) -> Tensor:
    return torch.zeros_like(scale, dtype=torch.int32)
