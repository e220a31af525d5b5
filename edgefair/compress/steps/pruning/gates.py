"""Channels that can be shut without being removed, and what the network costs then."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from edgefair.compress.steps.layers import evaluating
from edgefair.compress.steps.pruning.scores import slices
from edgefair.compress.steps.pruning.units import Unit

# A unit, positions in a weight's dimension, and the atoms they belong to.
_Entry = tuple[int, Tensor, Tensor]


class Gates:
    """A network whose layers do not read the channels of shut atoms.

    Only reading is stopped: what makes the channels keeps running, so a shut gate still has a gradient and can open
    again. The logits are those of the network with the channels removed, except where a LayerNorm or GroupNorm still
    averages over them.

    Args:
        network: it is not changed, and its weights are read anew at every call.
        example: one row of features [1, ...].
    """

    def __init__(self, network: nn.Module, units: Sequence[Unit], example: Tensor) -> None:
        self._network = network
        self._readers: dict[str, tuple[int, list[_Entry]]] = {}
        self._dims: dict[str, dict[int, list[_Entry]]] = {}
        self._macs = _macs_of_layers(network, example)
        for number, unit in enumerate(units):
            for member in unit.members:
                for name, dim, index, atom in slices(network, member):
                    if name not in self._macs:
                        continue
                    self._dims.setdefault(name, {}).setdefault(dim, []).append((number, index, atom))
                    if member.side == "in":
                        self._readers.setdefault(name, (dim, []))[1].append((number, index, atom))

    def __call__(self, features: Tensor, gates: Sequence[Tensor]) -> Tensor:
        """Logits [rows, classes], differentiable in the gates: float32 [atoms] per unit, 1 open and 0 shut."""
        weights = dict(self._network.named_parameters())
        masked = {}
        for name, (dim, entries) in self._readers.items():
            weight = weights[name]
            shape = [-1 if d == dim else 1 for d in range(weight.dim())]
            masked[name] = weight * _spread(entries, weight.shape[dim], gates).reshape(shape)
        logits: Tensor = functional_call(self._network, masked, (features,))
        return logits

    def macs(self, gates: Sequence[Tensor]) -> Tensor:
        """Share of the multiply-accumulates of convolutions and linear layers that is left: a scalar in (0, 1]."""
        weights = dict(self._network.named_parameters())
        total = torch.zeros(())
        for name, dense in self._macs.items():
            shape = weights[name].shape
            left = torch.ones(())
            for dim, entries in self._dims.get(name, {}).items():
                left = left * _spread(entries, shape[dim], gates).mean()
            total = total + dense * left
        return total / sum(self._macs.values())


def _spread(entries: Sequence[_Entry], size: int, gates: Sequence[Tensor]) -> Tensor:
    """The gate of every position of a dimension, float32 [size]; 1 where a position belongs to no unit."""
    spread = torch.ones(size)
    for number, index, atom in entries:
        spread = spread.index_put((index,), gates[number][atom])
    return spread


def _macs_of_layers(network: nn.Module, example: Tensor) -> dict[str, float]:
    """Multiply-accumulates of one row in every convolution and linear layer, by the name of its weight."""
    found: dict[str, float] = {}
    hooks = []
    for path, layer in network.named_modules():
        if not isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
            continue

        def count(
            layer: nn.Linear | nn.modules.conv._ConvNd, inputs: tuple[Tensor, ...], output: Tensor, path: str = path
        ) -> None:
            each = inputs[0] if isinstance(layer, nn.modules.conv._ConvTransposeNd) else output
            name = f"{path}.weight"
            found[name] = found.get(name, 0.0) + float(each[0].numel() * layer.weight[0].numel())

        hooks.append(layer.register_forward_hook(count))
    try:
        with evaluating(network):
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return found
