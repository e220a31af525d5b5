"""A small vision transformer (Dosovitskiy et al., ICLR 2021)."""

from __future__ import annotations

from torch import nn

from edgefair.errors import UsageError
from edgefair.training.networks.hugging_face import SMALL, LogitsOnly, made, picture_features, transformers


def vit_small(
    *,
    features: tuple[int, ...],
    classes: int,
    width: int = 192,
    depth: int = 6,
    heads: int = 3,
    patch_size: int | None = None,
    dropout: float = 0.0,
    weights: str | None = None,
) -> nn.Module:
    """Encoder blocks over patches: [rows, channels, height, width] -> logits [rows, classes].

    Args:
        width: channels of a token; a multiple of `heads`.
        patch_size: side of a patch in pixels; default 8 for pictures up to 64 pixels, else 16.
        weights: folder of a ViT saved by save_pretrained, for pictures of this size.

    Raises:
        UsageError: patches that do not tile the picture, heads that do not divide the width.
    """
    package = transformers()
    channels, height, across = picture_features("vit-small", features)
    side = patch_size or (8 if min(height, across) <= SMALL else 16)
    if height % side or across % side:
        raise UsageError(
            f"patches of {side} x {side} do not tile a picture of {height} x {across}", fix="set patch_size"
        )
    if width % heads:
        raise UsageError(f"a width of {width} cannot be split among {heads} heads")
    config = package.ViTConfig(
        num_channels=channels,
        image_size=(height, across),
        patch_size=side,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        hidden_dropout_prob=dropout,
        num_labels=classes,
        attn_implementation="eager",
    )
    return LogitsOnly(made(package.ViTForImageClassification, config, weights=weights, classes=classes))
