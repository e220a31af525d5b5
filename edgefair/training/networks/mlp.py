"""The multilayer perceptron for tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def mlp(
    *, features: tuple[int, ...], classes: int, hidden: Sequence[int] = (128, 64), dropout: float = 0.0
) -> nn.Module:
    """Linear-ReLU blocks of the given widths and a linear head: [rows, *features] -> logits [rows, classes]."""
    from torch import nn

    layers: list[nn.Module] = [nn.Flatten()] if len(features) > 1 else []
    width = math.prod(features)
    for out in hidden:
        layers += [nn.Linear(width, out), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = out
    layers.append(nn.Linear(width, classes))
    return nn.Sequential(*layers)
