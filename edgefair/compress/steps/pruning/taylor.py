"""Importance by what the loss would change."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from edgefair.compress.steps.base import Context
from edgefair.compress.steps.pruning import Goal
from edgefair.compress.steps.pruning.sample import batch_gradients, cross_entropy, draw
from edgefair.compress.steps.pruning.scores import atom_scores
from edgefair.compress.steps.pruning.units import Unit
from edgefair.training.classifier import Classifier


def taylor(classifier: Classifier, units: Sequence[Unit], context: Context, _goal: Goal) -> list[Tensor]:
    """I = sum of |w dL/dw| over all weights that leave with an atom, L the mean loss of all rows: float64 [atoms].

    First order, per weight and then summed per filter (after Molchanov et al., "Importance estimation for neural
    network pruning", CVPR 2019).

    Raises:
        DataError: a group without rows.
        ModelError: a gradient that is not finite.
    """
    mean: dict[str, Tensor] = {}
    for sample in draw(context.rows.cells, context.seed):
        for gradients in batch_gradients(classifier, context, sample, cross_entropy, sample.weight * sample.share):
            for name, gradient in gradients.items():
                mean[name] = mean[name] + gradient if name in mean else gradient
    weights = dict(classifier.network.named_parameters())
    return atom_scores(
        classifier.network, units, {name: (weights[name] * gradient).abs() for name, gradient in mean.items()}
    )
