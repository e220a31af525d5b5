"""Channels chosen in a game: the network keeps what it needs, and an adversary must not see the group in its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from edgefair.compress.steps.base import Context
from edgefair.compress.steps.game import Adversary, play
from edgefair.compress.steps.layers import example_features
from edgefair.compress.steps.pruning import Goal
from edgefair.compress.steps.pruning.choose import filled, leaving, rounded, smallest_share, wanted
from edgefair.compress.steps.pruning.gates import Gates
from edgefair.compress.steps.pruning.magnitude import magnitude
from edgefair.compress.steps.pruning.sample import require_rows
from edgefair.compress.steps.pruning.units import Unit
from edgefair.training.classifier import Classifier

# The budget falls over this share of the steps; in the rest the choice settles.
ANNEAL = 0.6
LEVELS = 1024


def adversarial(
    classifier: Classifier,
    units: Sequence[Unit],
    context: Context,
    goal: Goal,
    *,
    adversary: Adversary | Mapping[str, Any] | None = None,
) -> list[Tensor]:
    """Scores learned with the weights: float64 [atoms] per unit. Weights change in place unless they are frozen.

    The game of `steps.game` subject to MACs(g) <= budget, with gates g = 1[score among the k largest] and gradients
    straight through. k is the largest that keeps the budget, which falls to what is asked for, and gates shut as
    channels leave, in whole steps of `round_to` (in the spirit of Zhang, Wang et al., ICCV 2023).

    The budget is not a term of the loss: as one it starved the first layers, where a channel costs most. Its gradient
    would be the same in every step, beside that of a trained network's loss, which is small and changes its sign.

    Raises:
        DataError: one group only, or a group without rows.
        ModelError: the game diverged.
    """
    settings = _settings(adversary)
    require_rows(context.rows.cells)
    network = classifier.network
    gated = Gates(network, units, example_features(classifier))
    scores = [score.float().requires_grad_(True) for score in magnitude(classifier, units, context, goal)]
    weights = [] if settings.frozen else [p for p in network.parameters() if p.requires_grad]

    def logits_of(done: float, features: Tensor) -> Tensor:
        shut = min(1.0, done / ANNEAL)
        hard = _open(gated, units, scores, replace(goal, budget=1 - shut * (1 - goal.budget)))
        return gated(features, [g + score - score.detach() for g, score in zip(hard, scores, strict=True)])

    players: list[tuple[Sequence[Tensor], float]] = [
        (scores, settings.score_rate),
        (weights, settings.learning_rate),
    ]
    play(classifier, context, settings, players=players, logits_of=logits_of)
    return [score.detach().double() for score in scores]


def adversarial_frozen(
    classifier: Classifier,
    units: Sequence[Unit],
    context: Context,
    goal: Goal,
    *,
    adversary: Adversary | Mapping[str, Any] | None = None,
) -> list[Tensor]:
    """The game of `adversarial` without training a weight."""
    return adversarial(classifier, units, context, goal, adversary=replace(_settings(adversary), frozen=True))


def _settings(given: Adversary | Mapping[str, Any] | None) -> Adversary:
    return given if isinstance(given, Adversary) else Adversary(**(given or {}))


def _open(gated: Gates, units: Sequence[Unit], scores: Sequence[Tensor], goal: Goal) -> list[Tensor]:
    """1 where an atom stays and 0 where it leaves, float32 [atoms] per unit: the fewest leave that keep the budget."""
    detached = [score.detach() for score in scores]

    def gates(kept: Sequence[int]) -> list[Tensor]:
        found = []
        for unit, atoms in zip(units, leaving(detached, kept), strict=True):
            gate = torch.ones(unit.atoms)
            gate[atoms] = 0.0
            found.append(gate)
        return found

    def stay(share: float) -> list[float]:
        return wanted(units, detached, share, scope=goal.scope, round_to=goal.round_to)

    def enough(kept: Sequence[int]) -> bool:
        return float(gated.macs(gates(kept))) <= goal.budget

    share = smallest_share(lambda share: enough(rounded(units, stay(share), goal.round_to)), LEVELS)
    if share is None:
        return gates(rounded(units, stay(1.0), goal.round_to))
    return gates(filled(units, stay(share), enough, goal.round_to))
