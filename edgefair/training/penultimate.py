"""The features that a network's last linear layer reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from edgefair.errors import ModelError


def last_linear(network: nn.Module) -> nn.Linear:
    """The last linear layer, which gives the logits.

    Raises:
        ModelError: the network has none.
    """
    found = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not found:
        raise ModelError("the network has no linear layer", expected="a last linear layer that gives the logits")
    return found[-1]


@contextmanager
def penultimate(network: nn.Module) -> Iterator[list[Tensor]]:
    """A list into which every forward pass puts the features [rows, width] of its rows."""
    seen: list[Tensor] = []
    hook = last_linear(network).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        hook.remove()
