"""Batch normalizations as part of the layer in front of them, as inference computes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgefair.compress.steps.layers import evaluating, example_features, replace_module, used_layers
from edgefair.training.classifier import Classifier

Pair = tuple[str, str]


def foldable(classifier: Classifier) -> list[Pair]:
    """Names of layers and of the batch normalizations that read what they give; both called once for a row."""
    network = classifier.network
    layers = [layer for layer in used_layers(classifier) if layer.calls == 1 and not layer.shares]
    names: dict[nn.Module, str] = {layer.module: layer.name for layer in layers}
    norms = {
        module: name
        for name, module in network.named_modules()
        if type(module) in {nn.BatchNorm1d, nn.BatchNorm2d} and module.running_mean is not None
    }
    # Outputs are held until the end, so that no other value gets the identity of one.
    given: dict[int, tuple[str, Tensor]] = {}
    calls: Counter[nn.Module] = Counter()
    found: dict[str, nn.Module] = {}

    def give(module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
        if not isinstance(module, nn.Linear) or output.dim() == 2:
            given[id(output)] = names[module], output

    def take(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        calls[module] += 1
        if id(inputs[0]) in given:
            found[given[id(inputs[0])][0]] = module

    hooks = [module.register_forward_hook(give) for module in names]
    hooks += [module.register_forward_pre_hook(take) for module in norms]
    with evaluating(network):
        network(example_features(classifier))
    for hook in hooks:
        hook.remove()
    return [(layer, norms[norm]) for layer, norm in found.items() if calls[norm] == 1]


def fold(network: nn.Module, pairs: Sequence[Pair]) -> None:
    """w <- w g / sqrt(v + e), b <- (b - m) g / sqrt(v + e) + beta, in place; nothing is left of the normalizations."""
    for layer_name, norm_name in pairs:
        layer: Any = network.get_submodule(layer_name)
        norm: Any = network.get_submodule(norm_name)
        with torch.no_grad():
            factor = torch.rsqrt(norm.running_var + norm.eps) * (1.0 if norm.weight is None else norm.weight)
            bias = -norm.running_mean if layer.bias is None else layer.bias - norm.running_mean
            bias = bias * factor + (0.0 if norm.bias is None else norm.bias)
            layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.dim() - 1)))
            layer.bias = nn.Parameter(bias)
        replace_module(network, norm_name, nn.Identity())
