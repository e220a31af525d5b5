"""Networks by name, and the user's own `package.module:factory`."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

NETWORKS: Mapping[str, str] = {
    "mlp": "edgefair.training.networks.mlp:mlp",
    "resnet-18": "edgefair.training.networks.resnet:resnet_18",
    "resnet-34": "edgefair.training.networks.resnet:resnet_34",
    "mobilenet-v2": "edgefair.training.networks.mobilenet:mobilenet_v2",
    "vit-small": "edgefair.training.networks.vit:vit_small",
    "convnext-tiny": "edgefair.training.networks.convnext:convnext_tiny",
    "text-transformer": "edgefair.training.networks.text:text_transformer",
}
# Names that other packages resolve: `timm:NAME`.
ZOOS = ("timm", "torchvision")


def open_network(name: str, *, features: tuple[int, ...], classes: int, options: Mapping[str, Any]) -> nn.Module:
    """Build a network float32 [rows, *features] (token ids int64) -> logits float32 [rows, classes].

    Args:
        name: a key of `NETWORKS`, `timm:NAME`, `torchvision:NAME`, or `package.module:factory`, importable from the
            current folder.
        features: shape of one row as the network receives it, after preprocessing.
        classes: number of columns of the logits.
        options: keyword arguments of the factory.

    Raises:
        UsageError: no such network, a factory that cannot be imported or does not take these arguments.
    """
    from torch import nn

    factory = _factory(name)
    known = inspect.signature(factory).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for option in options:
            if option not in known:
                raise UsageError(
                    f"network '{name}' has no option '{option}'{did_you_mean(option, known)}",
                    expected=f"options among: {', '.join(set(known) - {'features', 'classes'})}",
                )
    network = factory(features=features, classes=classes, **options)
    if not isinstance(network, nn.Module):
        raise UsageError(f"network factory '{name}' returned a {type(network).__name__}", expected="a torch.nn.Module")
    return network


def _factory(name: str) -> Any:
    zoo, _, model = name.partition(":")
    if zoo in ZOOS:
        return partial(getattr(importlib.import_module("edgefair.training.networks.zoos"), zoo), model)
    path = NETWORKS.get(name, name)
    module_name, separator, attribute = path.partition(":")
    if not separator:
        raise UsageError(
            f"unknown network '{name}'{did_you_mean(name, NETWORKS)}",
            expected=f"one of {', '.join(NETWORKS)}, or package.module:factory",
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"network factory '{name}' cannot be imported: {error}",
            expected="package.module:factory, importable from the current folder",
        ) from error
