"""Passes that leave what normalizations have learned as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Normalize by the batch as in training, and learn nothing of it.

    A second pass of one batch through a network would count its rows twice in the running statistics, and at weights
    that the network does not have.
    """
    own = [(module, dict(module._buffers)) for module in network.modules() if isinstance(module, _BatchNorm)]
    for module, buffers in own:
        # The graph of the pass keeps the copies, so a later one may differentiate it.
        module._buffers.update({name: None if value is None else value.clone() for name, value in buffers.items()})
    try:
        yield
    finally:
        for module, buffers in own:
            module._buffers.update(buffers)
