"""What a network costs, without a clock: multiply-accumulates and parameters."""

from __future__ import annotations

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgefair.compress.steps.layers import evaluating


def macs(network: nn.Module, example: Tensor) -> int:
    """Multiply-accumulates of one row: convolutions and matrix products, those of attention too; the rest is nothing.

    Args:
        example: features [rows, ...].
    """
    with evaluating(network), FlopCounterMode(display=False) as counter:
        network(example)
    return int(counter.get_total_flops()) // 2 // len(example)


def parameters(network: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(item.numel() for item in network.parameters())
