"""Small classifiers with networks made for one question."""

import torch
from torch import nn

from edgefair.compress.steps.base import Context
from edgefair.debias import Cells
from edgefair.progress import silent
from edgefair.training.classifier import Classifier
from edgefair.training.rows import TrainingRows


class Pass(nn.Module):
    """A preprocessing that changes nothing."""

    def __init__(self, features):
        super().__init__()
        self.parts = nn.ModuleList()
        self.features = features

    def forward(self, x):
        return x


def classifier_of(network, *features):
    return Classifier(Pass(features), network)


def rows_of(x, label, group):
    names = tuple(f"g{index}" for index in range(int(group.max()) + 1))
    classes = tuple(f"y{index}" for index in range(max(2, int(label.max()) + 1)))
    return TrainingRows.held((x,), Cells(group, label, names, classes))


def context_of(rows, seed=0, **more):
    return Context(rows, seed, silent, **more)


def any_rows(*features, rows=64):
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(rows, *features, generator=generator)
    return rows_of(x, torch.arange(rows) % 2, torch.arange(rows) // 2 % 2)


def macs_of(network, x):
    """Multiply-accumulates of one row, counted by hooks on the layers that have any."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        total += output[0].numel() * layer.weight[0].numel()

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        network.eval()(x)
    for hook in hooks:
        hook.remove()
    return total
