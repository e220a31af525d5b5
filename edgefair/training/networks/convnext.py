"""ConvNeXt (Liu et al., CVPR 2022)."""

from __future__ import annotations

from torch import nn

from edgefair.errors import UsageError
from edgefair.training.networks.hugging_face import SMALL, LogitsOnly, made, picture_features, scaled, transformers

CHANNELS = (96, 192, 384, 768)
HALVINGS = 3


def convnext_tiny(
    *,
    features: tuple[int, ...],
    classes: int,
    width: float = 1.0,
    depths: tuple[int, int, int, int] = (3, 3, 9, 3),
    patch_size: int | None = None,
    weights: str | None = None,
) -> nn.Module:
    """Depthwise 7 x 7 blocks: [rows, channels, height, width] -> logits [rows, classes].

    Args:
        width: times the channels 96, 192, 384, 768.
        depths: blocks of each stage.
        patch_size: stride of the stem; default 2 for pictures up to 64 pixels, else 4.
        weights: folder of a ConvNeXt saved by save_pretrained.

    Raises:
        UsageError: a picture too small for the stem and the three halvings.
    """
    package = transformers()
    channels, height, across = picture_features("convnext-tiny", features)
    side = patch_size or (2 if min(height, across) <= SMALL else 4)
    least = side * 2**HALVINGS
    if min(height, across) < least:
        raise UsageError(f"a picture of {height} x {across} is too small", expected=f"at least {least} x {least}")
    config = package.ConvNextConfig(
        num_channels=channels,
        patch_size=side,
        hidden_sizes=scaled(CHANNELS, width),
        depths=list(depths),
        num_labels=classes,
    )
    return LogitsOnly(made(package.ConvNextForImageClassification, config, weights=weights, classes=classes))
