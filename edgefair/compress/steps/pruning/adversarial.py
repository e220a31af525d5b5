"""Channels chosen in a game: the network keeps what it needs, and an adversary must not see the group in its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from edgefair.compress.steps.base import Context
from edgefair.compress.steps.layers import example_features
from edgefair.compress.steps.pruning import Goal
from edgefair.compress.steps.pruning.choose import filled, leaving, rounded, smallest_share, wanted
from edgefair.compress.steps.pruning.gates import Gates
from edgefair.compress.steps.pruning.magnitude import magnitude
from edgefair.compress.steps.pruning.sample import require_rows
from edgefair.compress.steps.pruning.units import Unit
from edgefair.debias.adversarial import Adversarial
from edgefair.errors import ModelError, UsageError
from edgefair.training.classifier import Classifier

# The budget falls over this share of the steps; in the rest the choice settles.
ANNEAL = 0.6
LEVELS = 1024


@dataclass(frozen=True)
class Adversary:
    """Settings of the game.

    Attributes:
        steps: of both players.
        batch_rows: rows of a step.
        weight: lambda, what the adversary's loss counts.
        learning_rate: of the weights (Adam).
        score_rate: of the scores (Adam), which begin around 1.
        frozen: only scores are learned and the weights stay what they are, as in a random network (Ramanujan et al.,
            "What's hidden in a randomly weighted neural network?", CVPR 2020; Tang et al., "Fair scratch tickets", CVPR
            2023, here for whole channels). Running means of batch normalization still follow what passes.
    """

    steps: int = 300
    batch_rows: int = 128
    weight: float = 1.0
    learning_rate: float = 1e-3
    score_rate: float = 0.02
    frozen: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_rows < 2 or min(self.learning_rate, self.score_rate) <= 0:
            raise UsageError(f"settings of adversarial pruning: {self}", expected="steps, batch_rows and rates above 0")
        if self.weight < 0:
            raise UsageError(f"weight is {self.weight}", expected="0 or more")


def adversarial(
    classifier: Classifier,
    units: Sequence[Unit],
    context: Context,
    goal: Goal,
    *,
    adversary: Adversary | None = None,
) -> list[Tensor]:
    """Scores learned with the weights: float64 [atoms] per unit. Weights change in place unless they are frozen.

    min over scores and weights, max over D, of CE(f(x), y) - lambda CE(D(f(x), y), s) subject to MACs(g) <= budget,
    with gates g = 1[score among the k largest] and gradients straight through. k is the largest that keeps the budget,
    which falls to what is asked for, and gates shut as channels leave, in whole steps of `round_to`. One step of D
    alternates with one of the network (in the spirit of Zhang, Wang et al., ICCV 2023). D is `debias.Adversarial`'s.

    The budget is not a term of the loss: as one it starved the first layers, where a channel costs most. Its gradient
    would be the same in every step, beside that of a trained network's loss, which is small and changes its sign.

    Raises:
        DataError: one group only, or a group without rows.
        ModelError: the game diverged.
    """
    settings = adversary or Adversary()
    cells = context.rows.cells
    require_rows(cells)
    opponent = Adversarial()
    opponent.start(cells)
    network = classifier.network
    gated = Gates(network, units, example_features(classifier))
    scores = [score.float().requires_grad_(True) for score in magnitude(classifier, units, context, goal)]
    weights = [] if settings.frozen else [p for p in network.parameters() if p.requires_grad]
    players = [{"params": scores, "lr": settings.score_rate}, {"params": weights, "lr": settings.learning_rate}]
    optimizer = torch.optim.Adam(players[: 1 if settings.frozen else 2], foreach=False)
    classifier.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        order = _order(len(context.rows), settings.steps * settings.batch_rows)
        batches = context.rows.batches(order, settings.batch_rows)
        pieces = zip(torch.split(order, settings.batch_rows), batches, strict=True)
        for step, (index, inputs) in enumerate(pieces, start=1):
            done = min(1.0, step / (ANNEAL * settings.steps))
            with torch.no_grad():
                features = classifier.preprocess(*inputs)
            hard = _open(gated, units, scores, replace(goal, budget=1 - done * (1 - goal.budget)))
            gates = [g + score - score.detach() for g, score in zip(hard, scores, strict=True)]
            logits = gated(features, gates)
            label = cells.label[index]
            loss = functional.cross_entropy(logits, label)
            loss = loss - settings.weight * opponent.adversary_loss(logits, label, cells.group[index])
            if not torch.isfinite(loss):
                raise ModelError(
                    f"adversarial pruning diverged in step {step}", fix="lower its learning_rate, weight or score_rate"
                )
            found = torch.autograd.grad(loss, [*scores, *weights], materialize_grads=True)
            for value, gradient in zip([*scores, *weights], found, strict=True):
                value.grad = gradient
            optimizer.step()
            context.progress.step(step, settings.steps, "adversarial pruning")
    for value in weights:
        value.grad = None
    classifier.eval()
    return [score.detach().double() for score in scores]


def adversarial_frozen(
    classifier: Classifier,
    units: Sequence[Unit],
    context: Context,
    goal: Goal,
    *,
    adversary: Adversary | None = None,
) -> list[Tensor]:
    """The game of `adversarial` without training a weight."""
    return adversarial(classifier, units, context, goal, adversary=replace(adversary or Adversary(), frozen=True))


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


def _order(rows: int, wanted: int) -> Tensor:
    """Rows in random order, all of them before any comes again: int64 [wanted]."""
    return torch.cat([torch.randperm(rows) for _ in range(-(-wanted // rows))])[:wanted]
