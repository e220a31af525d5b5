"""What batch normalization learned of channels that are gone."""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from edgefair.training.classifier import Classifier
from edgefair.training.rows import TrainingRows


def renew_statistics(classifier: Classifier, rows: TrainingRows, batch_rows: int) -> None:
    """Measure the running means and variances of batch normalization again, in place; no weight changes.

    They are the plain averages over the batches of one pass. Without a fine-tune they would be
    those of the network before channels left it. Afterwards the classifier is in evaluation mode.

    Args:
        batch_rows: rows of a batch; one that is over is left out, because it has no variance.
    """
    norms = [module for module in classifier.network.modules() if isinstance(module, _BatchNorm)]
    classifier.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        for inputs in rows.batches(order, batch_rows):
            if len(inputs[0]) > 1:
                classifier(*inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    classifier.eval()
