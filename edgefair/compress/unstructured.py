"""Unstructured sparsity: single weights become 0. A baseline for studies; nothing gets faster or smaller by it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from edgefair.compress.pruning import Scope
from edgefair.errors import ModelError, UsageError


@dataclass(frozen=True)
class Sparse:
    """What was zeroed.

    Attributes:
        weights: of convolutions and linear layers, the last linear layer aside.
        zeros: how many of them are 0 now.
        effect: what to expect on a device.
    """

    weights: int
    zeros: int
    scope: Scope
    effect: str = "no speed: zeros are stored and multiplied like any number"

    def to_json(self) -> dict[str, Any]:
        """Plain types, for a manifest."""
        return asdict(self)


def sparsify(network: nn.Module, ratio: float, scope: Scope) -> Sparse:
    """Zero the smallest weights in place (Han et al., "Learning both weights and connections", NeurIPS 2015).

    No speed: onnxruntime and TensorRT compute dense products, and the file keeps its size. It is here because much of
    the literature on pruning and fairness measures it (Hooker et al., 2019), as a baseline for `prune`.

    Later training would fill the zeros again; call it after every step, or last.

    Args:
        ratio: share of the weights of convolutions and linear layers that becomes 0, above 0 and below 1. Biases,
            normalization and the last linear layer are left alone.
        scope: `local` takes the share from every layer, `global` from all weights together.

    Raises:
        UsageError: a ratio out of range, an unknown scope.
        ModelError: no layer to zero weights of.
    """
    if not 0 < ratio < 1:
        raise UsageError(f"sparsity is {ratio}", expected="above 0 and below 1: the share of weights that become 0")
    if scope not in {"local", "global"}:
        raise UsageError(f"scope is '{scope}'", expected="local or global")
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)]
    last = [module for module in layers if isinstance(module, nn.Linear)][-1:]
    weights = [layer.weight for layer in layers if layer not in last]
    if not weights:
        raise ModelError("the network has no convolution or linear layer before its last one")
    with torch.no_grad():
        if scope == "local":
            for weight in weights:
                weight.view(-1)[_smallest(weight.flatten(), ratio)] = 0.0
        else:
            whole = torch.cat([weight.flatten() for weight in weights])
            whole[_smallest(whole, ratio)] = 0.0
            for weight, part in zip(weights, torch.split(whole, [w.numel() for w in weights]), strict=True):
                weight.copy_(part.view_as(weight))
    return Sparse(sum(w.numel() for w in weights), sum(int((w == 0).sum()) for w in weights), scope)


def _smallest(values: torch.Tensor, ratio: float) -> torch.Tensor:
    """Positions of the smallest magnitudes, int64 [n]; of equal ones the first."""
    return values.abs().sort(stable=True).indices[: round(ratio * len(values))]
