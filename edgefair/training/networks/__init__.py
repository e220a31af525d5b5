"""Networks by name, and the user's own `package.module:factory`.

One file per family; a network returns logits and knows nothing of groups.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from edgefair.errors import UsageError, did_you_mean
from edgefair.training.factories import call_factory, open_factory

if TYPE_CHECKING:
    from torch import nn

NETWORKS: Mapping[str, str] = {
    "mlp": "edgefair.training.networks.mlp:mlp",
    "resnet-18": "edgefair.training.networks.resnet:resnet_18",
    "resnet-34": "edgefair.training.networks.resnet:resnet_34",
    "mobilenet-v2": "edgefair.training.networks.mobilenet:mobilenet_v2",
    "vit-small": "edgefair.training.networks.vit:vit_small",
    "convnext-tiny": "edgefair.training.networks.convnext:convnext_tiny",
    "fer-cnn": "edgefair.training.networks.fer_cnn:fer_cnn",
    "text-transformer": "edgefair.training.networks.text:text_transformer",
}
# Names that other packages resolve: `timm:NAME`.
ZOOS = ("timm", "torchvision")


def open_network(
    name: str, *, features: tuple[int, ...], classes: int, options: Mapping[str, Any], **facts: Any
) -> nn.Module:
    """Build a network float32 [rows, *features] (token ids int64) -> logits float32 [rows, classes].

    Args:
        name: a key of `NETWORKS`, `timm:NAME`, `torchvision:NAME`, or `package.module:factory`, importable from the
            current folder.
        features: shape of one row as the network receives it, after preprocessing.
        classes: number of columns of the logits.
        options: keyword arguments of the factory.
        facts: what else the data says: see `training.factories`.

    Raises:
        UsageError: no such network, a factory that cannot be imported or does not take these arguments.
    """
    from torch import nn

    factory = _factory(name)
    network = call_factory(name, options, facts={"features": features, "classes": classes, **facts}, factory=factory)
    if not isinstance(network, nn.Module):
        raise UsageError(f"network factory '{name}' returned a {type(network).__name__}", expected="a torch.nn.Module")
    return network


def _factory(name: str) -> Any:
    zoo, _, model = name.partition(":")
    if zoo in ZOOS:
        return partial(getattr(importlib.import_module("edgefair.training.networks.zoos"), zoo), model)
    path = NETWORKS.get(name, name)
    if ":" not in path:
        raise UsageError(
            f"unknown network '{name}'{did_you_mean(name, NETWORKS)}",
            expected=f"one of {', '.join(NETWORKS)}, or package.module:factory",
        )
    return open_factory(path)
