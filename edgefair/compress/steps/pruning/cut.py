"""Remove channels from layers, as a plan of plain JSON says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from edgefair.errors import ModelError

# Path of a module, or of a bare parameter -> "out" or "in" (a bare parameter: its dimension) -> indices that leave.
Cut = dict[str, dict[str, list[int]]]
# What attentions call their layers and the channels of a head: BERT's and, with transformers 4, ViT's; ViT's with 5.
ATTENTIONS = (
    (("query", "key", "value"), "attention_head_size"),
    (("q_proj", "k_proj", "v_proj"), "head_dim"),
)


def cut(network: nn.Module, removed: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
    """Remove the given outputs and inputs of every layer in place. Attention learns how many heads are left.

    Raises:
        ModelError: a layer that this network does not have, or that does not have these channels.
    """
    from torch_pruning.ops import module2type
    from torch_pruning.pruner.function import PrunerBox

    modules, bare = dict(network.named_modules()), dict(network.named_parameters())
    for path, sides in removed.items():
        if path in bare:
            for dim, indices in sides.items():
                _cut_parameter(network, path, int(dim), indices)
            continue
        if path not in modules:
            raise ModelError(f"the plan cuts '{path}', which the network does not have", expected="the plan's network")
        layer = modules[path]
        pruner = PrunerBox[module2type(layer)]
        for side, indices in sides.items():
            _check(path, layer, side, indices, pruner)
            (pruner.prune_out_channels if side == "out" else pruner.prune_in_channels)(layer, list(indices))
    for attention in modules.values():
        if (found := heads_of(attention)) is not None:
            width = attention.get_submodule(found.layers[0]).out_features
            attention.num_attention_heads = width // found.size
            if hasattr(attention, "all_head_size"):
                attention.all_head_size = width


@dataclass(frozen=True)
class Heads:
    """What an attention of transformers is made of, whose heads can leave one by one.

    Attributes:
        layers: names of the layers that make queries, keys and values.
        size: channels of one head.
    """

    layers: tuple[str, str, str]
    size: int


def heads_of(module: nn.Module) -> Heads | None:
    """The heads of an attention of transformers; None for any other module, and where several heads share a key."""
    if not hasattr(module, "num_attention_heads"):
        return None
    for layers, size in ATTENTIONS:
        parts = [getattr(module, name, None) for name in layers]
        widths = {part.out_features for part in parts if isinstance(part, nn.Linear)}
        if all(isinstance(part, nn.Linear) for part in parts) and len(widths) == 1 and hasattr(module, size):
            return Heads(layers, int(getattr(module, size)))
    return None


@contextmanager
def without(network: nn.Module, removed: Mapping[str, Mapping[str, Sequence[int]]]) -> Iterator[None]:
    """As `cut`, and whole again at the end of the block: cutting puts new parameters in the place of others.

    Copying a network takes several times as long as counting what it costs.

    Raises:
        ModelError: see `cut`.
    """
    whole = [(module, _state(module)) for module in network.modules()]
    try:
        cut(network, removed)
        yield
    finally:
        for module, state in whole:
            vars(module).clear()
            vars(module).update(state)


def _state(module: nn.Module) -> dict[str, Any]:
    """What a module consists of: a copy of its attributes, and of its tables of parameters and buffers."""
    tables = {name: dict(vars(module)[name]) for name in ("_parameters", "_buffers")}
    return {**vars(module), **tables}


def _cut_parameter(network: nn.Module, path: str, dim: int, indices: Sequence[int]) -> None:
    owner_path, _, name = path.rpartition(".")
    owner = network.get_submodule(owner_path)
    value = getattr(owner, name).detach()
    stay = torch.ones(value.shape[dim], dtype=torch.bool)
    stay[list(indices)] = False
    setattr(owner, name, nn.Parameter(value.index_select(dim, stay.nonzero()[:, 0])))


def _check(path: str, layer: nn.Module, side: str, indices: Sequence[int], pruner: Any) -> None:
    size = pruner.get_out_channels(layer) if side == "out" else pruner.get_in_channels(layer)
    if size is None:  # one number for all channels
        return
    if not indices or min(indices) < 0 or max(indices) >= size or len(set(indices)) >= size:
        raise ModelError(f"the plan cuts {len(indices)} of the {size} channels of '{path}'", expected="fewer, below it")
    groups = getattr(layer, "groups", 1)
    if 1 < groups < size:
        part = size // groups
        patterns = {tuple(i % part for i in sorted(indices) if i // part == group) for group in range(groups)}
        if len(patterns) != 1:
            raise ModelError(f"the groups of '{path}' would lose different channels")
