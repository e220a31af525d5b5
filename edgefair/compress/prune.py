"""Structured pruning: whole channels are removed, so the file shrinks and the latency falls."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from edgefair.errors import ModelError, UsageError

Scope = Literal["local", "global"]

# Channels leave in this many steps; the first one that reaches the target ends it. No layer loses more than MOST.
STEPS = 100
MOST = 0.95


@dataclass(frozen=True)
class Pruned:
    """What pruning did.

    Attributes:
        macs: multiply-accumulate operations of one row, before and after.
        parameters: before and after.
    """

    macs: tuple[int, int]
    parameters: tuple[int, int]


def prune(network: nn.Module, example: Tensor, *, ratio: float, scope: Scope) -> Pruned:
    """Remove channels in place, smallest L2 norm first, until the network needs (1 - ratio) of its MACs.

    Channels that depend on each other (residual sums, depthwise and grouped convolutions, attention heads) leave
    together (Fang et al., "DepGraph: towards any structural pruning", CVPR 2023, through torch-pruning). Equal weights
    give equal channels.

    Args:
        network: features -> logits; its last linear layer keeps its outputs.
        example: one row of features [1, ...].
        ratio: share of the MACs to remove, above 0 and below 1.
        scope: `local` takes the same share from every layer, `global` compares channels across layers.

    Raises:
        UsageError: torch-pruning is not installed, or a ratio out of range.
        ModelError: a network that cannot be pruned, or not that far.
    """
    if not 0 < ratio < 1:
        raise UsageError(f"prune ratio is {ratio}", expected="above 0 and below 1: the share of the MACs to remove")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch_pruning
    except ImportError as error:
        raise UsageError(f"pruning needs torch-pruning: {error}", fix="pip install 'edgefair[torch]'") from error

    network.eval()
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ModelError("the network has no linear layer", expected="a last linear layer that gives the logits")
    if not example.is_floating_point():
        raise ModelError("a network of tokens cannot be pruned yet", expected="a network of pictures or numbers")
    before = torch_pruning.utils.count_ops_and_params(network, example)
    after = before
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pruner = torch_pruning.pruner.BasePruner(
                network,
                example,
                importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
                global_pruning=scope == "global",
                pruning_ratio=MOST,
                max_pruning_ratio=MOST,
                iterative_steps=STEPS,
                ignored_layers=[linear[-1]],
            )
            for _ in range(STEPS):
                pruner.step()
                after = torch_pruning.utils.count_ops_and_params(network, example)
                if after[0] <= (1 - ratio) * before[0]:
                    break
    except (RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise ModelError(
            f"the network cannot be pruned: {type(error).__name__}: {str(error).splitlines()[0]}",
            expected="a forward that torch can trace, its layers torch.nn modules",
        ) from error
    if after[0] > (1 - ratio) * before[0]:
        raise ModelError(
            f"pruning ended at {after[0] / before[0]:.0%} of the MACs, with {MOST:.0%} of every layer's channels gone",
            expected=f"at most {1 - ratio:.0%}",
            fix="ask for less, or train a narrower network",
        )
    with torch.no_grad():
        if not bool(torch.isfinite(network(example)).all()):
            raise ModelError("the pruned network gives numbers that are not finite")
    return Pruned((int(before[0]), int(after[0])), (int(before[1]), int(after[1])))
