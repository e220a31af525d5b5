"""Batch normalizations that have no statistics of their own."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgefair.errors import ModelError


def check_statistics(network: nn.Module) -> None:
    """Refuse a network whose decision about one row depends on the rows beside it.

    Raises:
        ModelError: a batch normalization that takes the mean and the variance of the batch in eval mode too.
    """
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and (module.running_mean is None or module.running_var is None):
            raise ModelError(
                f"batch normalization '{name}' has no running statistics, so other rows of a batch change a decision",
                expected="running_mean and running_var, as track_running_stats=True keeps them",
                fix="train it with track_running_stats=True, or use a normalization of each row, such as LayerNorm",
            )
