"""Importance by the size of the weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from edgefair.compress.steps.base import Context
from edgefair.compress.steps.pruning import Goal
from edgefair.compress.steps.pruning.scores import atom_scores
from edgefair.compress.steps.pruning.units import Unit
from edgefair.training.classifier import Classifier


def magnitude(classifier: Classifier, units: Sequence[Unit], _context: Context, _goal: Goal) -> list[Tensor]:
    """I = sum of w^2 over all weights that leave with an atom, over its mean in the unit: float64 [atoms] per unit.

    Group L2 norm of Fang et al., "DepGraph", CVPR 2023. The division makes units comparable, whatever their size.
    """
    network = classifier.network
    squares = {name: value.detach() ** 2 for name, value in network.named_parameters() if not name.endswith("bias")}
    return [score / score.mean().clamp(min=1e-30) for score in atom_scores(network, units, squares)]
