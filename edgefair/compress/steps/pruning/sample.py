"""Gradients of the loss of sensitive groups, on a sample of training rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgefair.compress.steps.base import Context
from edgefair.debias.base import Cells
from edgefair.errors import DataError, ModelError
from edgefair.training.classifier import Classifier

# Rows of each (group, label) cell that importances look at, and rows of a batch.
CELL_ROWS = 128
BATCH_ROWS = 64
# Dimensions of a batch of pictures: rows, channels, height, width.
PICTURES = 4
# From logits [batch, classes] and labels int64 [batch]: a number per row [batch] to differentiate.
RowLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class GroupSample:
    """Rows that stand for a group.

    Attributes:
        group: index into `Cells.groups`.
        share: of all training rows that are of this group.
        index: int64 [n].
        weight: float32 [n], adding up to 1, so that weighted sums estimate means over the group's training rows.
    """

    group: int
    share: float
    index: Tensor
    weight: Tensor


def draw(cells: Cells, seed: int, *, cell_rows: int = CELL_ROWS) -> list[GroupSample]:
    """At most `cell_rows` rows of every (group, label) cell, in random order, weighted by the share of their cell.

    A rare cell is looked at in full; one without rows has no part in its group's mean.

    Raises:
        DataError: a group without rows.
    """
    require_rows(cells)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for group in range(len(cells.groups)):
        of_group = (cells.group == group).nonzero()[:, 0]
        index, weight = [], []
        for label in range(len(cells.classes)):
            cell = of_group[cells.label[of_group] == label]
            chosen = cell[torch.randperm(len(cell), generator=generator)[:cell_rows]]
            index.append(chosen)
            weight.append(torch.full((len(chosen),), len(cell) / max(len(chosen), 1) / len(of_group)))
        order = torch.randperm(sum(map(len, index)), generator=generator)
        found.append(
            GroupSample(group, len(of_group) / len(cells.group), torch.cat(index)[order], torch.cat(weight)[order])
        )
    return found


def require_rows(cells: Cells) -> None:
    """Check that every group has a row.

    Raises:
        DataError: one has none, so nothing says which channels it needs.
    """
    for name, rows in zip(cells.groups, cells.counts().sum(dim=1).tolist(), strict=True):
        if rows == 0:
            raise DataError(
                f"no training row has group '{name}'",
                expected="rows of every group, to know which channels it needs",
                fix="add such rows to the training split, or prune by magnitude",
            )


def batch_gradients(
    classifier: Classifier,
    context: Context,
    sample: GroupSample,
    row_loss: RowLoss,
    weight: Tensor,
    *,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[dict[str, Tensor]]:
    """For every batch of a sample: the gradient of the sum of weight times row loss, by parameter name.

    Every batch begins from nothing: no gradient is carried from batch to batch or from group to group. The sample is
    passed through the network once, in its order; pictures with their channels last, which convolutions compute faster.

    Args:
        weight: of every row of the sample, float32 [n].

    Raises:
        ModelError: a loss or gradient that is not finite.
    """
    classifier.eval()
    named = {name: p for name, p in classifier.network.named_parameters() if p.requires_grad}
    pieces = torch.split(torch.arange(len(sample.index)), batch_rows)
    batches = context.rows.batches(sample.index, batch_rows)
    for piece, inputs in zip(pieces, batches, strict=True):
        with torch.no_grad():
            features = classifier.preprocess(*inputs)
        if features.dim() == PICTURES:
            features = features.contiguous(memory_format=torch.channels_last)
        loss = row_loss(classifier.network(features), context.rows.cells.label[sample.index[piece]]) @ weight[piece]
        gradients = torch.autograd.grad(loss, list(named.values()), materialize_grads=True)
        if not torch.isfinite(loss) or not all(bool(torch.isfinite(g).all()) for g in gradients):
            raise ModelError(
                "the loss of the model or its gradient is not finite", fix="retrain it with a lower learning rate"
            )
        yield dict(zip(named, gradients, strict=True))


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Nats of every row."""
    return functional.cross_entropy(logits, label, reduction="none")
