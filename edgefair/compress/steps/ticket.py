"""A sub-network of single weights in a random network, which is never trained. For studies; nothing gets faster."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from edgefair.compress.config import CompressConfig
from edgefair.compress.steps.base import Context, Plan, Project, Stage, Step
from edgefair.compress.steps.game import Adversary, play
from edgefair.compress.steps.layers import Layer, used_layers
from edgefair.errors import ModelError, UsageError
from edgefair.training.classifier import Classifier

# How the signed constant is spread: as He et al. spread random weights before a ReLU.
GAIN = math.sqrt(2)


class Ticket(Step):
    """Which random weights stay is learned, and no weight is (Ramanujan et al., "What's hidden in a randomly weighted
    neural network?", CVPR 2020), in a game against an adversary that guesses the group (Tang et al., "Fair scratch
    tickets", CVPR 2023).

    Every weight of a Conv2d or Linear is c or -c, with the sign of the random one and c = sqrt(2 / (keep fan_in)), and
    has a score; in every layer those with the largest scores stay and the others are 0. Scores begin at random; their
    gradient is that of the weight times the weight, also where it is 0 (straight through). Biases, and layers whose
    weight another module shares, keep their random numbers; batch normalization scales by 1 and its statistics are
    measured.

    Args:
        keep: share of a layer's weights that stays, above 0 and below 1.
        adversary: settings of the game, of which `learning_rate` and `frozen` are not read.

    Raises:
        UsageError: keep out of range.
    """

    def __init__(self, keep: float, *, adversary: Adversary | None = None) -> None:
        if not 0 < keep < 1:
            raise UsageError(f"ticket keeps {keep}", expected="above 0 and below 1: the share of the weights that stay")
        self.keep = keep
        self.adversary = adversary or Adversary(frozen=True)

    @classmethod
    def from_config(cls, compress: CompressConfig, project: Project) -> Iterator[Stage]:  # noqa: ARG003
        """One stage, where `ticket` is asked for; nothing is trained behind it."""
        if compress.ticket is not None:
            settings = compress.ticket.model_dump(mode="json")
            game = Adversary(**{name: value for name, value in settings.items() if name != "keep"}, frozen=True)
            yield Stage("ticket", settings, cls(compress.ticket.keep, adversary=game), None, fresh=True)

    def check(self, classifier: Classifier) -> None:
        """Refuse a network without a layer that has weights to choose.

        Raises:
            ModelError: it has none, or a layer would have no weight left.
        """
        layers = _layers(classifier)
        if not layers:
            raise ModelError("the network has no layer whose weights can be chosen", expected="a Conv2d or Linear")
        for layer in layers:
            if not self._stay(layer.module.weight):
                raise ModelError(
                    f"'{layer.name}' has {layer.module.weight.numel()} weights, and a ticket of {self.keep:g} leaves 0",
                    fix="keep more",
                )

    def plan(self, classifier: Classifier, context: Context) -> Plan:
        """Learn which weights stay, and write them into the network, in place.

        Returns:
            layers: name -> weights, and how many of them stay; their sums; skipped: name -> why.

        Raises:
            ModelError: no layer, or the game diverged.
            DataError: one group only.
        """
        self.check(classifier)
        context.progress.stage("choosing among random weights")
        layers = _layers(classifier)
        constants = {f"{layer.name}.weight": self._constant(layer.module.weight) for layer in layers}
        scores = _random_scores(constants.values(), context.seed)

        def logits_of(done: float, features: Tensor) -> Tensor:  # noqa: ARG001
            chosen = {
                name: weight * (self._mask(score) + score - score.detach())
                for (name, weight), score in zip(constants.items(), scores, strict=True)
            }
            logits: Tensor = functional_call(classifier.network, chosen, (features,))
            return logits

        play(classifier, context, self.adversary, players=[(scores, self.adversary.score_rate)], logits_of=logits_of)
        with torch.no_grad():
            for layer, weight, score in zip(layers, constants.values(), scores, strict=True):
                layer.module.weight.copy_(weight * self._mask(score))
        counts = {layer.name: [layer.module.weight.numel(), self._stay(layer.module.weight)] for layer in layers}
        weights, stay = (sum(numbers) for numbers in zip(*counts.values(), strict=True))
        return {
            "step": "ticket",
            "keep": self.keep,
            "adversary": dataclasses.asdict(self.adversary),
            "layers": counts,
            "weights": weights,
            "stay": stay,
            "skipped": {layer.name: SHARED for layer in used_layers(classifier) if layer.shares},
        }

    def apply(self, classifier: Classifier, plan: Mapping[str, Any]) -> None:
        """Nothing: the weights hold what was chosen."""

    def describe(self, plan: Mapping[str, Any], original: Mapping[str, float]) -> tuple[str, ...]:  # noqa: ARG002
        """How many weights stay, and that this is for studies."""
        return (
            f"a sub-network of {plan['stay'] / plan['weights']:.0%} of {plan['weights']:,} random weights: a study, no "
            "fewer operations and no speed-up",
        )

    def _stay(self, weight: Tensor) -> int:
        return round(self.keep * weight.numel())

    def _constant(self, weight: Tensor) -> Tensor:
        """c sign(w), in the shape of the weight."""
        signs = torch.where(weight.detach() < 0, -1.0, 1.0)
        return signs * GAIN / math.sqrt(self.keep * weight[0].numel())

    def _mask(self, score: Tensor) -> Tensor:
        """1 for the largest scores and 0 for the others; of equal ones the first stay."""
        mask = torch.zeros(score.numel())
        mask[score.detach().flatten().sort(descending=True, stable=True).indices[: self._stay(score)]] = 1.0
        return mask.view_as(score)


SHARED = "shares its weight with another module"


def _layers(classifier: Classifier) -> list[Layer]:
    return [layer for layer in used_layers(classifier) if not layer.shares]


def _random_scores(weights: Any, seed: int) -> list[Tensor]:
    """In the shape of every weight, as Kaiming uniform (a = sqrt 5) spreads weights."""
    scores = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for weight in weights:
            score = torch.empty_like(weight)
            nn.init.kaiming_uniform_(score, a=math.sqrt(5))
            scores.append(score.requires_grad_(True))
    return scores
