"""Importance by what leaving would do to the loss, and to the gap between the groups' losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgefair.compress.steps.base import Context
from edgefair.compress.steps.pruning import Goal
from edgefair.compress.steps.pruning.sample import batch_gradients, cross_entropy, draw
from edgefair.compress.steps.pruning.scores import atom_scores
from edgefair.compress.steps.pruning.units import Unit
from edgefair.training.classifier import Classifier


def group_effect(
    classifier: Classifier, units: Sequence[Unit], context: Context, _goal: Goal, *, beta: float = 0.5
) -> list[Tensor]:
    """I_a = T_a + beta max_g (T_ga - T_a)+ : float64 [atoms] per unit.

    T_ga = E over batches of |sum over the weights w of atom a of w dL_g/dw|, the effect on group g's loss L_g of taking
    the atom away, to first order: for an attention head or an intermediate unit the derivative by a gate on its output
    (Michel et al., "Are sixteen heads really better than one?", NeurIPS 2019, eq. 4). T_a is the mean of T_ga over the
    rows, so the second term is what the group that depends most on the atom would lose beyond all: psi_g of
    Hashemizadeh et al., ICLR 2024, to first order. The weights of an atom are added up before the absolute value is
    taken, unlike in `taylor`: only together do they leave.

    Raises:
        DataError: a group without rows.
        ModelError: a gradient that is not finite.
    """
    weights = dict(classifier.network.named_parameters())
    samples = draw(context.rows.cells, context.seed)
    of_groups: list[list[Tensor]] = []
    for sample in samples:
        total = [torch.zeros(unit.atoms, dtype=torch.float64) for unit in units]
        for gradients in batch_gradients(classifier, context, sample, cross_entropy, sample.weight):
            signed = {name: weights[name].detach() * gradient for name, gradient in gradients.items()}
            effects = atom_scores(classifier.network, units, signed)
            total = [before + effect.abs() for before, effect in zip(total, effects, strict=True)]
        of_groups.append(total)
    share = torch.tensor([sample.share for sample in samples], dtype=torch.float64)[:, None]
    found = []
    for per_group in zip(*of_groups, strict=True):
        effect = torch.stack(per_group)
        mean = (share * effect).sum(dim=0)
        found.append(mean + beta * (effect - mean).clamp(min=0.0).amax(dim=0))
    return found
