"""Recurrent layers, through which the coupling of channels cannot be traced."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgefair.compress.steps.layers import replace_module


class StandIn(nn.Module):
    """Something that can be traced, with the shapes of an RNN, GRU or LSTM: what goes in is mixed into what comes out.

    Its numbers mean nothing.
    """

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.ways = 2 if layer.bidirectional else 1
        self.layers, self.first = layer.num_layers, layer.batch_first
        self.cells = layer.hidden_size if isinstance(layer, nn.LSTM) else None
        self.mixed = nn.Linear(layer.input_size, self.ways * (layer.proj_size or layer.hidden_size))

    def forward(self, x: Tensor, _: object = None) -> tuple[Tensor, object]:
        """Every step, and the last state, as the layer gives them."""
        steps = self.mixed(x)
        time = 1 if self.first and x.dim() > 2 else 0
        last = torch.stack(steps.select(time, -1).chunk(self.ways, -1) * self.layers)
        if self.cells is None:
            return steps, last
        return steps, (last, last.mean(-1, keepdim=True).expand(*last.shape[:-1], self.cells))


def stand_in(network: nn.Module) -> frozenset[str]:
    """Put a `StandIn` in place of every recurrent layer, in place; the paths of their traced parts."""
    found = [name for name, module in network.named_modules() if isinstance(module, nn.RNNBase) and name]
    for name in found:
        layer = network.get_submodule(name)
        replace_module(network, name, StandIn(layer))  # type: ignore[arg-type]
    return frozenset(f"{name}.mixed" for name in found)
