"""Networks, rows and contexts for the tests of pruning."""

import torch
from torch import nn

from edgefair.compress.steps.base import Context
from edgefair.debias.base import Cells
from edgefair.progress import silent
from edgefair.training.classifier import Classifier, Tokens
from edgefair.training.networks import open_network
from edgefair.training.rows import TrainingRows

NETWORKS = {
    "mlp": ((12,), {"hidden": [64, 32]}),
    "resnet-18": ((3, 16, 16), {"width": 0.25}),
    "mobilenet-v2": ((3, 16, 16), {"width": 0.125, "dropout": 0.0}),
    "convnext-tiny": ((3, 32, 32), {"width": 0.2, "depths": [1, 1, 1, 1]}),
    "vit-small": ((3, 16, 16), {"width": 32, "depth": 2, "heads": 4}),
    "text-transformer": ((8,), {"vocabulary": 50, "pad": 0, "width": 32, "depth": 2, "heads": 4}),
}
CLASSES = 3


class AsItIs(nn.Module):
    """A preprocessing that passes its one input on."""

    def __init__(self, features, *, tokens=False):
        super().__init__()
        self.features = features
        self.parts = nn.ModuleList([Tokens(features[0])] if tokens else [])

    def forward(self, x):
        return x


def classifier_of(network, features, *, tokens=False):
    return Classifier(AsItIs(features, tokens=tokens), network.eval())


def built_in(name, seed=0):
    """A built-in network with statistics and gates that are not all alike, and rows for it."""
    features, options = NETWORKS[name]
    torch.manual_seed(seed)
    network = open_network(name, features=features, classes=CLASSES, options=options)
    with torch.no_grad():
        for path, value in [*network.named_parameters(), *network.named_buffers()]:
            if "running_var" in path:
                value.uniform_(0.5, 2.0)
            elif value.is_floating_point() and value.dim() == 1:
                value.add_(torch.randn_like(value) * 0.2)
            elif "layer_scale" in path:
                value.uniform_(0.5, 1.0)
    tokens = name == "text-transformer"
    x = torch.randint(1, 50, (60, *features)) if tokens else torch.randn(60, *features)
    return classifier_of(network, features, tokens=tokens), x


def context_of(x, group, label, *, groups=("a", "b"), classes=CLASSES, latency_ms=None, original=None):
    cells = Cells(group, label, groups, tuple(map(str, range(classes))))
    return Context(TrainingRows.held((x,), cells), 0, silent, latency_ms, original or {})


def any_context(x, **options):
    """Two groups, the second one small."""
    rows = torch.arange(len(x))
    return context_of(x, (rows % 10 == 0).long(), rows % CLASSES, **options)
