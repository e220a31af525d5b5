"""MobileNetV2 (Sandler et al., CVPR 2018)."""

from __future__ import annotations

from typing import Literal

from torch import nn

from edgefair.training.networks.hugging_face import SMALL, LogitsOnly, made, picture_features, transformers

# The share of a batch in the running statistics. transformers has 0.997, which TensorFlow means as the share of what
# was before: the statistics would be those of the last batch alone.
MOMENTUM = 0.1


def mobilenet_v2(
    *,
    features: tuple[int, ...],
    classes: int,
    width: float = 1.0,
    dropout: float = 0.2,
    stem: Literal["auto", "small", "imagenet"] = "auto",
    weights: str | None = None,
) -> nn.Module:
    """Inverted residuals: [rows, channels, height, width] -> logits [rows, classes].

    Args:
        width: the paper's width multiplier.
        dropout: before the last layer.
        stem: `imagenet` halves the picture in the first convolution; `small` does not; `auto` is small up to 64 pixels.
        weights: folder of a MobileNetV2 saved by save_pretrained.
    """
    package = transformers()
    channels, height, across = picture_features("mobilenet-v2", features)
    config = package.MobileNetV2Config(
        num_channels=channels,
        image_size=max(height, across),
        depth_multiplier=width,
        classifier_dropout_prob=dropout,
        tf_padding=False,
        num_labels=classes,
    )
    model = made(package.MobileNetV2ForImageClassification, config, weights=weights, classes=classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = MOMENTUM
    if stem == "small" or (stem == "auto" and min(height, across) <= SMALL and weights is None):
        model.mobilenet_v2.conv_stem.first_conv.convolution.stride = (1, 1)
    return LogitsOnly(model)
