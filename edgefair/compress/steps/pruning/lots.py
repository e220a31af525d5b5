"""Importance by lots, as a control."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgefair.compress.steps.base import Context
from edgefair.compress.steps.pruning import Goal
from edgefair.compress.steps.pruning.units import Unit
from edgefair.training.classifier import Classifier


def lots(_classifier: Classifier, units: Sequence[Unit], context: Context, _goal: Goal) -> list[Tensor]:
    """Uniform numbers, drawn by the seed: float64 [atoms] per unit."""
    generator = torch.Generator().manual_seed(context.seed)
    return [torch.rand(unit.atoms, generator=generator, dtype=torch.float64) for unit in units]
