"""Importance that spares what the group that fares worst needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgefair.compress.steps.base import Context
from edgefair.compress.steps.pruning import Goal
from edgefair.compress.steps.pruning.sample import GroupSample, batch_gradients, cross_entropy, draw
from edgefair.compress.steps.pruning.scores import atom_scores
from edgefair.compress.steps.pruning.units import Unit
from edgefair.errors import DataError, UsageError
from edgefair.training.classifier import Classifier

# Rows of a batch. Every batch gives one square, so small ones give more of them to average, for nearly the same work.
BATCH_ROWS = 8


def fairprune(
    classifier: Classifier, units: Sequence[Unit], context: Context, _goal: Goal, *, beta: float = 0.5
) -> list[Tensor]:
    """I = sum of w^2 (h_worst - beta h_rest) / 2 over all weights that leave with an atom: float64 [atoms] per unit.

    h_g is the diagonal of the generalized Gauss-Newton matrix of the mean loss of group g, so w^2 h_g / 2 is what g
    loses, to second order, if the weight goes (Wu et al., "FairPrune", MICCAI 2022, which prunes single weights). An
    atom that the other groups need and the worst one does not scores below 0 and leaves first.

    The worst group is the one with the largest mean loss on the sample; with more than two groups, h_rest is the mean
    over the others, each counting alike.

    Args:
        beta: above 0, what the loss of the others counts against.

    Raises:
        UsageError: beta out of range.
        DataError: one group only, or a group without rows.
        ModelError: a gradient that is not finite.
    """
    if beta <= 0:
        raise UsageError(f"beta is {beta}", expected="above 0")
    samples = draw(context.rows.cells, context.seed)
    if len(samples) < 2:
        raise DataError("all training rows belong to one group", expected="two groups or more, for fairprune")
    found = [gauss_newton_diagonal(classifier, context, sample) for sample in samples]
    worst = max(range(len(samples)), key=lambda group: found[group][1])
    weights = dict(classifier.network.named_parameters())
    score: dict[str, Tensor] = {}
    for group, (curvature, _) in enumerate(found):
        factor = 1.0 if group == worst else -beta / (len(samples) - 1)
        for name, h in curvature.items():
            part = 0.5 * factor * weights[name].detach() ** 2 * h
            score[name] = score[name] + part if name in score else part
    return atom_scores(classifier.network, units, score)


def gauss_newton_diagonal(
    classifier: Classifier, context: Context, sample: GroupSample
) -> tuple[dict[str, Tensor], float]:
    """diag of E[J^T (diag p - p p^T) J] over the rows of a group, by parameter name; and their mean loss in nats.

    With labels y' drawn from the network's own p, the gradients of single rows have mean 0 and are independent, so the
    square of a batch's summed gradient is, in the mean over the draws, the sum of the rows' diagonals (Martens, "New
    insights and perspectives on the natural gradient method", JMLR 2020). One pass serves a whole batch, and the loss
    comes from the same logits.
    """
    generator = torch.Generator().manual_seed(context.seed)
    losses: list[Tensor] = []

    def drawn(logits: Tensor, label: Tensor) -> Tensor:
        losses.append(cross_entropy(logits.detach(), label))
        own = torch.multinomial(logits.detach().softmax(dim=1), 1, generator=generator)[:, 0]
        return cross_entropy(logits, own)

    total: dict[str, Tensor] = {}
    for gradients in batch_gradients(classifier, context, sample, drawn, sample.weight.sqrt(), batch_rows=BATCH_ROWS):
        for name, gradient in gradients.items():
            total[name] = total[name] + gradient**2 if name in total else gradient**2
    return total, float(torch.cat(losses) @ sample.weight)
