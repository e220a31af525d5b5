"""Training in few lines: enough for decisions that mean something."""

from __future__ import annotations

import torch
from peers.rows import Rows
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from edgefair.training.classifier import Classifier
from edgefair.training.penultimate import last_linear, penultimate

BATCH = 32


def fit(classifier: Classifier, rows: Rows, *, epochs: int, learning_rate: float, batch_rows: int = BATCH) -> None:
    """Train in place with AdamW and a learning rate that rises and falls."""
    torch.manual_seed(0)
    inputs, label = [torch.from_numpy(x) for x in rows.inputs.values()], torch.from_numpy(rows.label)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=learning_rate, weight_decay=1e-4)
    used = len(rows) // batch_rows * batch_rows
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * (used // batch_rows))
    classifier.train()
    for _ in range(epochs):
        for index in torch.randperm(len(rows))[:used].split(batch_rows):
            optimizer.zero_grad()
            nn.functional.cross_entropy(classifier(*(x[index] for x in inputs)), label[index]).backward()
            optimizer.step()
            schedule.step()
    classifier.eval()


@torch.no_grad()
def settle(classifier: Classifier, rows: Rows) -> None:
    """Fit what depends on the size of a row: the statistics of batch normalization, and the last layer."""
    batches = list(zip(*(torch.from_numpy(x).split(BATCH) for x in rows.inputs.values()), strict=True))
    norms = [module for module in classifier.modules() if isinstance(module, nn.BatchNorm2d)]
    if norms:
        _estimate(classifier, norms, batches)
    classifier.eval()
    with penultimate(classifier.network) as seen:
        for batch in batches:
            classifier(*batch)
    x = torch.cat(seen)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    found = LogisticRegression(C=0.1, max_iter=1000).fit(((x - mean) / std).numpy(), rows.label)
    weight = torch.from_numpy(found.coef_[0]).float() / std
    bias = torch.from_numpy(found.intercept_).float() - weight @ mean
    layer = last_linear(classifier.network)
    layer.weight.copy_(torch.stack([-weight, weight]) / 2)
    layer.bias.copy_(torch.cat([-bias, bias]) / 2)


def _estimate(classifier: Classifier, norms: list[nn.BatchNorm2d], batches: list[tuple[Tensor, ...]]) -> None:
    """Mean and variance over all batches, every one counted alike."""
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    classifier.train()
    for batch in batches:
        classifier(*batch)
