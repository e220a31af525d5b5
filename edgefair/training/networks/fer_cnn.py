"""The plain convolutional network of many studies of facial expressions.

As in Stoychev & Gunes, "The effect of model compression on fairness in facial expression recognition" (2022), and the
Keras courses that it came from: 4,478,727 numbers for grey pictures of 48 pixels and 7 expressions.
"""

from __future__ import annotations

from torch import nn

from edgefair.errors import UsageError
from edgefair.training.networks.hugging_face import picture_features, scaled

# Channels and kernel of the convolutions, each of which halves the picture; units of the layers behind.
CONVOLUTIONS = ((64, 3), (128, 5), (512, 3), (512, 3))
UNITS = (256, 512)
# Keras' own.
MOMENTUM, EPSILON = 0.01, 1e-3


def fer_cnn(*, features: tuple[int, ...], classes: int, width: float = 1.0, dropout: float = 0.25) -> nn.Module:
    """Convolution, batch norm, ReLU, max pooling, dropout four times; two linear layers: logits [rows, classes].

    Args:
        width: times the channels 64, 128, 512, 512 and the units 256, 512.
        dropout: behind every block.

    Raises:
        UsageError: no pictures, or pictures of fewer than 16 pixels.
    """
    channels, height, across = picture_features("fer-cnn", features)
    if min(height, across) < 2 ** len(CONVOLUTIONS):
        raise UsageError(
            f"network 'fer-cnn' halves a picture four times, and these are {height} x {across} pixels",
            fix="set model.picture.height and width to 48, as in the paper",
        )
    layers: list[nn.Module] = []
    sizes = scaled(tuple(size for size, _ in CONVOLUTIONS), width)
    for size, (_, kernel) in zip(sizes, CONVOLUTIONS, strict=True):
        layers += [
            nn.Conv2d(channels, size, kernel, padding="same"),
            nn.BatchNorm2d(size, eps=EPSILON, momentum=MOMENTUM),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(dropout),
        ]
        channels, height, across = size, height // 2, across // 2
    layers.append(nn.Flatten())
    units = channels * height * across
    for size in scaled(UNITS, width):
        layers += [nn.Linear(units, size), nn.BatchNorm1d(size, eps=EPSILON, momentum=MOMENTUM), nn.ReLU()]
        layers.append(nn.Dropout(dropout))
        units = size
    return nn.Sequential(*layers, nn.Linear(units, classes))
