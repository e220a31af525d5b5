"""Networks of timm and torchvision, where those are installed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgefair.errors import UsageError
from edgefair.training.networks.hugging_face import picture_features

if TYPE_CHECKING:
    from torch import nn


def timm(name: str, *, features: tuple[int, ...], classes: int, **options: Any) -> nn.Module:
    """`timm.create_model(name)` for pictures [rows, channels, height, width].

    Raises:
        UsageError: timm cannot be imported or has no such model.
    """
    channels, _, _ = picture_features(f"timm:{name}", features)
    package = _package("timm")
    try:
        network: nn.Module = package.create_model(
            name, **{"pretrained": False, "num_classes": classes, "in_chans": channels, **options}
        )
    except (RuntimeError, TypeError, ValueError) as error:
        raise UsageError(f"timm cannot make '{name}': {error}") from error
    return network


def torchvision(name: str, *, features: tuple[int, ...], classes: int, **options: Any) -> nn.Module:
    """`torchvision.models.get_model(name)` for pictures [rows, 3, height, width].

    Raises:
        UsageError: torchvision cannot be imported, has no such model, or the pictures are grey.
    """
    channels, _, _ = picture_features(f"torchvision:{name}", features)
    if channels != 3:
        raise UsageError(f"torchvision's networks take 3 channels, not {channels}", fix="set model.picture.channels: 3")
    package = _package("torchvision.models")
    try:
        network: nn.Module = package.get_model(name, **{"weights": None, "num_classes": classes, **options})
    except (TypeError, ValueError) as error:
        raise UsageError(f"torchvision cannot make '{name}': {error}") from error
    return network


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:  # a torchvision of another torch fails in ways of its own
        top = name.partition(".")[0]
        raise UsageError(
            f"{top} cannot be imported: {error}", fix=f"pip install {top}, in the version that matches your torch"
        ) from error
