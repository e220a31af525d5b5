"""Importance that keeps what every group needs, in the proportions of the dense network."""

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


def fairgrape(classifier: Classifier, units: Sequence[Unit], context: Context, goal: Goal) -> list[Tensor]:
    """Rank of every atom in the order in which it is kept, in (0, 1], 1 for the first: float64 [atoms] per unit.

    I_g = sum over batches of (|w| |dL_g/dw|)^2, summed over the weights of an atom, L_g the mean loss of group g. Atoms
    are kept one after the other: the group whose share of the kept importance is furthest below its share in the dense
    network chooses the atom that is worth most to it (Lin, Kim and Joo, "FairGRAPE", ECCV 2022, which ranks single
    weights). `local` ranks within every unit, `global` all atoms together.

    Raises:
        DataError: a group without rows.
        ModelError: a gradient that is not finite.
    """
    weights = dict(classifier.network.named_parameters())
    of_groups = []
    for sample in draw(context.rows.cells, context.seed):
        total: dict[str, Tensor] = {}
        for gradients in batch_gradients(classifier, context, sample, cross_entropy, sample.weight):
            for name, gradient in gradients.items():
                square = (weights[name].detach() * gradient) ** 2
                total[name] = total[name] + square if name in total else square
        of_groups.append(atom_scores(classifier.network, units, total))
    per_unit = [torch.stack(scores) for scores in zip(*of_groups, strict=True)]
    if goal.scope == "local":
        return [_rank(importance) for importance in per_unit]
    sizes = [unit.atoms for unit in units]
    return list(torch.split(_rank(torch.cat(per_unit, dim=1)), sizes))


def keep_order(importance: Tensor) -> list[int]:
    """Atoms in the order in which they are kept. importance: float64 [groups, atoms], not negative."""
    atoms = importance.shape[1]
    dense = importance.sum(dim=1)
    dense = dense / dense.sum().clamp(min=1e-300)
    wishes = importance.sort(dim=1, descending=True, stable=True).indices.tolist()
    next_wish = [0] * len(wishes)
    kept = torch.zeros(len(wishes), dtype=torch.float64)
    taken = [False] * atoms
    order: list[int] = []
    while len(order) < atoms:
        share = kept / kept.sum().clamp(min=1e-300)
        group = int((dense - share).argmax())
        while taken[wishes[group][next_wish[group]]]:
            next_wish[group] += 1
        atom = wishes[group][next_wish[group]]
        taken[atom] = True
        order.append(atom)
        kept += importance[:, atom]
    return order


def _rank(importance: Tensor) -> Tensor:
    order = torch.tensor(keep_order(importance))
    rank = torch.empty(len(order), dtype=torch.float64)
    rank[order] = 1.0 - torch.arange(len(order), dtype=torch.float64) / len(order)
    return rank
