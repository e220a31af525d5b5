"""From a number per weight to a number per atom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from edgefair.compress.steps.pruning.units import Member, Unit

# Parameter name -> a number for each of its weights, in its shape.
PerWeight = Mapping[str, Tensor]


def atom_scores(network: nn.Module, units: Sequence[Unit], per_weight: PerWeight) -> list[Tensor]:
    """For every unit, the sum over all weights that leave with an atom, float64 [atoms].

    Args:
        per_weight: parameters that are missing count nothing.
    """
    found = []
    for unit in units:
        total = torch.zeros(unit.atoms, dtype=torch.float64)
        for member in unit.members:
            for name, dim, index, atom in slices(network, member):
                if name in per_weight:
                    value = per_weight[name].detach().double()
                    per_channel = value.movedim(dim, 0).flatten(1).sum(dim=1) if value.dim() > 1 else value
                    total.index_add_(0, atom, per_channel[index])
        found.append(total)
    return found


def slices(network: nn.Module, member: Member) -> Iterator[tuple[str, int, Tensor, Tensor]]:
    """Where a member's channels are in its parameters: name, dimension, positions and their atoms, both int64 [n]."""
    if member.side not in {"in", "out"}:
        yield member.path, int(member.side), member.index, member.atom
        return
    layer = network.get_submodule(member.path)
    for name, value in layer.named_parameters(recurse=False):
        dim = _dim(layer, name, member.side)
        if dim is None:
            continue
        # The inputs of a grouped convolution have a position each in their group only, and all groups lose the same.
        inside = member.index < value.shape[dim]
        yield f"{member.path}.{name}", dim, member.index[inside], member.atom[inside]


def _dim(layer: nn.Module, name: str, side: str) -> int | None:
    """The dimension of a parameter that holds the channels of one side."""
    if isinstance(layer, nn.Embedding):
        return 1
    if isinstance(layer, nn.MultiheadAttention | nn.LSTM):
        return None
    if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
        if side == "out":
            return int(name == "weight" and bool(getattr(layer, "transposed", False)))
        return None if name != "weight" else int(not getattr(layer, "transposed", False))
    if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
        return None
    return -1
