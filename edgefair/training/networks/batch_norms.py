"""Batch normalizations that have no statistics of their own, or hardly any."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgefair.errors import ModelError

# A batch that weighs more than this beside all batches before it is most of what is known.
MOST_OF_ONE_BATCH = 0.5


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


def statistics_of_last_batch(network: nn.Module) -> str | None:
    """What to say of a network whose running statistics are those of its last batch; else None."""
    momenta = [module.momentum for module in network.modules() if isinstance(module, _BatchNorm)]
    short = [momentum for momentum in momenta if momentum is not None and momentum > MOST_OF_ONE_BATCH]
    if not short:
        return None
    return (
        f"{len(short)} batch normalizations of the network have a momentum of up to {max(short):g}: their running "
        "statistics are those of the last batch, and decisions change with it. PyTorch's momentum is the share of the "
        "new batch: 0.1 is usual (TensorFlow's 0.9)"
    )
