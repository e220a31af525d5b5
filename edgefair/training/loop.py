"""The training loop: weighted cross-entropy plus what the debiasing methods add."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgefair.debias import Cells, Debias
from edgefair.errors import DataError
from edgefair.training.checkpoint import Checkpoint
from edgefair.training.classifier import Classifier
from edgefair.training.settings import TrainConfig

Progress = Callable[[int, int, str], None]


# From positions of rows, int64 [rows], and a number of rows: batches of graph inputs in the spec's order.
Batches = Callable[[Tensor, int], Iterator[tuple[Tensor, ...]]]


@dataclass(frozen=True)
class TrainingRows:
    """Training rows, wherever they are.

    Attributes:
        batches: the inputs of given rows, each tensor [batch, ...].
        cells: label and sensitive group of every row.
    """

    batches: Batches
    cells: Cells

    @classmethod
    def held(cls, inputs: tuple[Tensor, ...], cells: Cells) -> TrainingRows:
        """Rows that are in memory, encoded: one tensor [rows, ...] per graph input."""

        def batches(order: Tensor, batch_rows: int) -> Iterator[tuple[Tensor, ...]]:
            for index in torch.split(order, batch_rows):
                yield tuple(x[index] for x in inputs)

        return cls(batches, cells)

    def __len__(self) -> int:
        return len(self.cells.label)


def train(
    classifier: Classifier,
    rows: TrainingRows,
    methods: Sequence[Debias],
    config: TrainConfig,
    *,
    seed: int,
    checkpoint: Checkpoint,
    progress: Progress,
) -> list[float]:
    """Train in place; the mean loss of each epoch.

    A checkpoint is written after every epoch, and training goes on from the last one. The order of the rows in an
    epoch depends on (seed, epoch) alone, so a resumed run ends with the weights of an uninterrupted one.

    Raises:
        DataError: the loss is not finite.
    """
    # A last batch of one row has no variance to normalize by: that row (another one in every epoch) waits.
    used = len(rows) - (1 if len(rows) % config.batch_rows == 1 and len(rows) > 1 else 0)
    steps = -(-used // config.batch_rows)
    weights = _row_weights(methods, rows.cells)
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, foreach=False
    )
    losses = checkpoint.restore(classifier, optimizer, methods)
    for epoch in range(len(losses), config.epochs):
        torch.manual_seed(seed * 1_000_003 + epoch)
        order = torch.randperm(len(rows))[:used]
        classifier.train()
        total = 0.0
        pieces = zip(torch.split(order, config.batch_rows), rows.batches(order, config.batch_rows), strict=True)
        for step, (index, inputs) in enumerate(pieces, start=epoch * steps):
            for parameters in optimizer.param_groups:
                parameters["lr"] = config.learning_rate * _triangle(step / (steps * config.epochs))
            loss = _batch_loss(classifier(*inputs), rows.cells, weights, methods, index)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            for method in methods:
                method.end_step()
            total += float(loss.detach()) * len(index)
            progress(step + 1, steps * config.epochs, f"epoch {epoch + 1}/{config.epochs}")
        mean = total / used
        if not torch.isfinite(torch.tensor(mean)):
            raise DataError(
                f"the training loss became {mean} in epoch {epoch + 1}",
                expected="a finite loss",
                fix="lower train.learning_rate; the checkpoint of the epoch before is kept",
            )
        losses.append(mean)
        checkpoint.save(losses, classifier, optimizer, methods)
    return losses


def _triangle(done: float) -> float:
    """Learning rate over its peak at a share of the steps: up for the first fifth, then down to 0."""
    return (done + 0.01) / 0.21 if done < 0.2 else (1.0 - done) / 0.8


def _row_weights(methods: Sequence[Debias], cells: Cells) -> Tensor:
    weights = torch.ones(len(cells.label))
    for method in methods:
        own = method.row_weights(cells)
        if own is not None:
            weights = weights * own
    return weights / weights.mean()


def _batch_loss(logits: Tensor, cells: Cells, weights: Tensor, methods: Sequence[Debias], index: Tensor) -> Tensor:
    label, group = cells.label[index], cells.group[index]
    loss = (functional.cross_entropy(logits, label, reduction="none") * weights[index]).mean()
    for method in methods:
        penalty = method.penalty(logits, label, group)
        if penalty is not None:
            loss = loss + penalty
    return loss
