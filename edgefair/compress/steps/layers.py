"""The convolutions and linear layers of a network, as one row passes through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgefair.errors import ModelError
from edgefair.training.classifier import Classifier, Tokens


@dataclass(frozen=True)
class Layer:
    """A Conv2d or Linear that is called.

    Attributes:
        name: in the network, as `get_submodule` takes it.
        module: the layer.
        calls: how often one row passes it.
        entering: height and width of what comes in; for a Linear (positions, 1).
        leaving: height and width of what goes out.
        shares: whether another module has the same weight.
    """

    name: str
    module: nn.Conv2d | nn.Linear
    calls: int
    entering: tuple[int, int]
    leaving: tuple[int, int]
    shares: bool

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one row."""
        height, width = self.leaving
        return self.calls * height * width * self.module.weight.numel()


def example_features(classifier: Classifier) -> Tensor:
    """One row of zeros, as the network receives it."""
    tokens = any(isinstance(part, Tokens) for part in classifier.preprocess.parts)
    device = next(classifier.parameters()).device
    return torch.zeros(1, *classifier.preprocess.features, dtype=torch.int64 if tokens else None, device=device)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in eval mode without gradients; every module goes back to the mode that it was in."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def used_layers(classifier: Classifier) -> list[Layer]:
    """Layers in the order in which they are first called. A layer whose weight is read past its forward is not there.

    Raises:
        ModelError: the network does not compute.
    """
    network = classifier.network
    owners = Counter(id(item) for _, item in network.named_parameters(remove_duplicate=False))
    names = {module: name for name, module in network.named_modules()}
    calls: Counter[nn.Module] = Counter()
    shapes: dict[nn.Module, tuple[tuple[int, int], tuple[int, int]]] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        calls[module] += 1
        shapes.setdefault(module, (_places(module, inputs[0]), _places(module, output)))

    hooks = [module.register_forward_hook(note) for module in names if type(module) in {nn.Conv2d, nn.Linear}]
    try:
        with evaluating(network):
            network(example_features(classifier))
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"the network cannot run: {type(error).__name__}: {str(error).splitlines()[0]}",
            expected=f"logits from features {list(classifier.preprocess.features)}",
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return [
        Layer(names[module], module, calls[module], *shapes[module], shares=owners[id(module.weight)] > 1)
        for module in calls
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]


def replace_module(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put another module in the place of the one called `name`."""
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)


def _places(module: nn.Module, x: Tensor) -> tuple[int, int]:
    if isinstance(module, nn.Conv2d):
        return x.shape[-2], x.shape[-1]
    return x.numel() // x.shape[-1], 1
