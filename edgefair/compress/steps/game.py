"""A game: what is learned of a network keeps its label, and an adversary must not see the group in its output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgefair.compress.steps.base import Context
from edgefair.debias.adversarial import Adversarial, Target
from edgefair.debias.base import eager
from edgefair.errors import ModelError, UsageError
from edgefair.training.classifier import Classifier

# The adversary's weight rises over this share of the steps: one that knows nothing yet would push at random.
RAMP = 1 / 3


@dataclass(frozen=True)
class Adversary:
    """Settings of the game.

    Attributes:
        steps: of both players.
        batch_rows: rows of a step.
        weight: lambda, what the adversary's loss counts; 0 is the control, the same steps without it.
        target: what it must not see: the group given the label (equalized odds), or the group (parity).
        learning_rate: of the weights (Adam).
        score_rate: of the scores (Adam).
        frozen: only scores are learned and the weights stay what they are, as in a random network (Ramanujan et al.,
            "What's hidden in a randomly weighted neural network?", CVPR 2020; Tang et al., "Fair scratch tickets", CVPR
            2023). Running means of batch normalization still follow what passes.
    """

    steps: int = 300
    batch_rows: int = 128
    weight: float = 1.0
    target: Target = "equalized-odds"
    learning_rate: float = 1e-3
    score_rate: float = 0.02
    frozen: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_rows < 2 or min(self.learning_rate, self.score_rate) <= 0:
            raise UsageError(f"settings of adversarial pruning: {self}", expected="steps, batch_rows and rates above 0")
        if self.weight < 0:
            raise UsageError(f"weight is {self.weight}", expected="0 or more")


def play(
    classifier: Classifier,
    context: Context,
    settings: Adversary,
    *,
    players: Sequence[tuple[Sequence[Tensor], float]],
    logits_of: Callable[[float, Tensor], Tensor],
) -> None:
    """Learn scores, and weights, in place: min over them, max over D, of CE(f(x), y) - lambda CE(D(f(x)), s).

    D is `debias.Adversarial`'s; its steps alternate with those of the network. lambda rises over the first third.

    Args:
        players: tensors that are learned, and the rate of each lot (Adam).
        logits_of: the logits of features, given the share of the steps that are done.

    Raises:
        DataError: one group only.
        ModelError: the game diverged.
    """
    cells = context.rows.cells
    opponent = Adversarial(target=settings.target)
    opponent.start(cells)
    learned = [value for values, _ in players for value in values]
    optimizer = eager(torch.optim.Adam)(
        [{"params": list(values), "lr": rate} for values, rate in players if values], foreach=False
    )
    classifier.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        order = _order(len(context.rows), settings.steps * settings.batch_rows)
        batches = context.rows.batches(order, settings.batch_rows)
        pieces = zip(torch.split(order, settings.batch_rows), batches, strict=True)
        for step, (index, inputs) in enumerate(pieces, start=1):
            done = step / settings.steps
            with torch.no_grad():
                features = classifier.preprocess(*inputs)
            logits = logits_of(done, features)
            label = cells.label[index]
            weight = settings.weight * min(1.0, done / RAMP)
            loss = functional.cross_entropy(logits, label)
            loss = loss - weight * opponent.adversary_loss(logits, label, cells.group[index])
            if not torch.isfinite(loss):
                raise ModelError(
                    f"adversarial pruning diverged in step {step}", fix="lower its learning_rate, weight or score_rate"
                )
            found = torch.autograd.grad(loss, learned, materialize_grads=True)
            for value, gradient in zip(learned, found, strict=True):
                value.grad = gradient
            optimizer.step()
            context.progress.step(step, settings.steps, "adversarial pruning")
    for value in learned:
        value.grad = None
    classifier.eval()


def _order(rows: int, wanted: int) -> Tensor:
    """Rows in random order, all of them before any comes again: int64 [wanted]."""
    return torch.cat([torch.randperm(rows) for _ in range(-(-wanted // rows))])[:wanted]
