"""Residual networks (He et al., CVPR 2016)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from torch import nn

from edgefair.training.networks.hugging_face import SMALL, LogitsOnly, made, picture_features, scaled, transformers

CHANNELS = (64, 128, 256, 512)


def resnet(
    *,
    features: tuple[int, ...],
    classes: int,
    depths: tuple[int, ...],
    width: float = 1.0,
    stem: Literal["auto", "small", "imagenet"] = "auto",
    weights: str | None = None,
) -> nn.Module:
    """Basic blocks: [rows, channels, height, width] -> logits [rows, classes].

    Args:
        depths: blocks of each stage.
        width: times the channels 64, 128, 256, 512.
        stem: `imagenet` halves the picture twice at the beginning; `small` does not; `auto` is small up to 64 pixels.
        weights: folder of a ResNet saved by save_pretrained.
    """
    package = transformers()
    channels, height, _ = picture_features("resnet", features)
    sizes = scaled(CHANNELS[: len(depths)], width)
    config = package.ResNetConfig(
        num_channels=channels,
        embedding_size=sizes[0],
        hidden_sizes=sizes,
        depths=list(depths),
        layer_type="basic",
        num_labels=classes,
    )
    model = made(package.ResNetForImageClassification, config, weights=weights, classes=classes)
    if stem == "small" or (stem == "auto" and min(height, features[2]) <= SMALL and weights is None):
        _keep_resolution(model.resnet.embedder)
    return LogitsOnly(model)


def _keep_resolution(embedder: Any) -> None:
    """A 3 x 3 convolution of stride 1 without pooling, as He et al. use for CIFAR-10."""
    first = embedder.embedder.convolution
    embedder.embedder.convolution = nn.Conv2d(first.in_channels, first.out_channels, 3, padding=1, bias=False)
    embedder.pooler = nn.Identity()


resnet_18 = partial(resnet, depths=(2, 2, 2, 2))
resnet_34 = partial(resnet, depths=(3, 4, 6, 3))
