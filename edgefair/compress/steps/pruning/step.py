"""Structured pruning as a step of a recipe."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from torch import Tensor

from edgefair.compress.steps.base import Context, Plan
from edgefair.compress.steps.cost import macs, parameters
from edgefair.compress.steps.layers import example_features
from edgefair.compress.steps.pruning import Importance, Measure, Scope
from edgefair.compress.steps.pruning.adversarial import Adversary, adversarial
from edgefair.compress.steps.pruning.choose import MOST, ROUND_TO, filled, leaving, rounded, smallest_share, wanted
from edgefair.compress.steps.pruning.cut import cut
from edgefair.compress.steps.pruning.fairgrape import fairgrape
from edgefair.compress.steps.pruning.fairprune import fairprune
from edgefair.compress.steps.pruning.magnitude import magnitude
from edgefair.compress.steps.pruning.taylor import taylor
from edgefair.compress.steps.pruning.units import Unit, find_units, removal
from edgefair.errors import ModelError, UsageError
from edgefair.training.classifier import Classifier

# Shares among which the one that reaches the target is sought; a measurement takes seconds and is not that exact.
LEVELS, TIMED_LEVELS = 512, 64
# Below this share of the target, what rounding took too much is given back.
NEAR = 0.98
WORDS = {"macs": "MACs", "parameters": "parameters", "latency": "ms"}


class Prune:
    """Remove the least important channels and heads until a share of the cost is gone.

    Args:
        ratio: share of the cost that is removed, above 0 and below 1.
        scope: `local` takes the same share from every layer, `global` compares channels across layers.
        importance: `magnitude` (default), `taylor`; fairness-aware: `fairgrape`, `fairprune`, `adversarial`; `random`
            as a control. `adversarial-frozen` plays the game of `adversarial` without training a weight.
        measure: the cost: multiply-accumulates, parameters, or median latency on the first target.
        of: cost that `ratio` is a share of; default: that of the network given. With the cost of the original network,
            steps with growing ratios and fine-tunes between them end where a single step would.
        round_to: channels that stay are a multiple of this where a layer is wide enough (`choose.ROUND_TO`).
        beta: of `fairprune`: what the other groups' loss counts against.
        adversary: of `adversarial`.

    Raises:
        UsageError: a setting out of range.
    """

    def __init__(
        self,
        ratio: float,
        *,
        scope: Scope = "local",
        importance: Importance = "magnitude",
        measure: Measure = "macs",
        of: float | None = None,
        round_to: int = ROUND_TO,
        beta: float = 0.5,
        adversary: Adversary | None = None,
    ) -> None:
        if not 0 < ratio < 1:
            raise UsageError(f"prune ratio is {ratio}", expected="above 0 and below 1: the share of the cost to remove")
        for name, value, known in (
            ("scope", scope, Scope),
            ("importance", importance, Importance),
            ("measure", measure, Measure),
        ):
            if value not in get_args(known):
                raise UsageError(f"prune {name} is '{value}'", expected=f"one of {', '.join(get_args(known))}")
        if round_to < 1 or beta <= 0 or (of is not None and of <= 0):
            raise UsageError(f"round_to is {round_to}, beta {beta}, of {of}", expected="1 or more, and above 0")
        self.ratio = ratio
        self.scope = scope
        self.importance = importance
        self.measure = measure
        self.of = of
        self.round_to = round_to
        self.beta = beta
        self.adversary = adversary or Adversary()

    def check(self, classifier: Classifier) -> None:
        """Refuse a network that cannot be pruned, or not that far. It is not changed.

        Raises:
            UsageError: torch-pruning is not installed.
            ModelError: no layer can lose a channel, or the ratio would empty layers.
        """
        units, whole = find_units(classifier.network, example_features(classifier))
        if self.measure == "latency":
            return
        cost = _costs(classifier)[self.measure]
        scores = [torch.zeros(unit.atoms) for unit in units]
        kept = rounded(units, self._wanted(units, scores, 1.0), self.round_to)
        least, target = cost(_left(classifier, units, scores, kept)), self._target(cost(classifier))
        if least > target:
            raise self._too_far(least, target, whole)

    def plan(self, classifier: Classifier, context: Context) -> Plan:
        """Decide which channels leave. `adversarial` trains the weights in place; the others leave them alone.

        The plan holds `cut` (what `apply` removes), `kept` (layer -> channels, or heads, that stay, and how many there
        were), `whole` (layers that cannot lose channels), and `before` and `after`: macs, parameters and, where it is
        the measure, latency in milliseconds.

        Raises:
            UsageError: torch-pruning is not installed, or no clock for `measure="latency"`.
            ModelError: no layer can lose a channel, the target cannot be reached, or what is left does not work.
            DataError: rows that the importance cannot be based on.
        """
        units, whole = find_units(classifier.network, example_features(classifier))
        costs = _costs(classifier)
        if self.measure == "latency":
            costs["latency"] = _clock(context)
        before = {name: cost(classifier) for name, cost in costs.items()}
        target = self._target(before[self.measure])
        context.progress.stage(f"ranking channels by {self.importance}")
        scores = self._scores(classifier, units, context, min(1.0, target / before[self.measure]))
        kept = [unit.atoms for unit in units]
        tried = {tuple(kept): before[self.measure]}

        def enough(kept: Sequence[int]) -> bool:
            if tuple(kept) not in tried:
                context.progress.step(len(tried), 0, f"pruning to {target:.4g} {WORDS[self.measure]}")
                tried[tuple(kept)] = costs[self.measure](_left(classifier, units, scores, kept))
            return tried[tuple(kept)] <= target

        if not enough(kept):
            share = smallest_share(
                lambda share: enough(rounded(units, self._wanted(units, scores, share), self.round_to)),
                TIMED_LEVELS if self.measure == "latency" else LEVELS,
            )
            if share is None:
                raise self._too_far(min(tried.values()), target, whole)
            stay = self._wanted(units, scores, share)
            kept = rounded(units, stay, self.round_to)
            if self.measure != "latency" and tried[tuple(kept)] < NEAR * target:
                kept = filled(units, stay, enough, self.round_to)
        left = _left(classifier, units, scores, kept)
        with torch.no_grad():
            if not bool(torch.isfinite(left.network(example_features(left))).all()):
                raise ModelError("the pruned network gives numbers that are not finite")
        return {
            "ratio": self.ratio,
            "scope": self.scope,
            "importance": self.importance,
            "measure": self.measure,
            "before": before,
            "after": {name: tried[tuple(kept)] if name == self.measure else cost(left) for name, cost in costs.items()},
            "kept": {
                unit.name: [stay * unit.counted, unit.atoms * unit.counted]
                for unit, stay in zip(units, kept, strict=True)
            },
            "whole": whole,
            "cut": removal(units, leaving(scores, kept)),
        }

    def apply(self, classifier: Classifier, plan: Mapping[str, Any]) -> None:
        """Remove what the plan says from `classifier.network`, in place.

        Raises:
            ModelError: the plan is of another network.
        """
        cut(classifier.network, plan["cut"])

    def _scores(self, classifier: Classifier, units: Sequence[Unit], context: Context, budget: float) -> list[Tensor]:
        match self.importance:
            case "magnitude":
                return magnitude(classifier.network, units)
            case "taylor":
                return taylor(classifier, units, context)
            case "fairgrape":
                return fairgrape(classifier, units, context, scope=self.scope)
            case "fairprune":
                return fairprune(classifier, units, context, beta=self.beta)
            case "adversarial" | "adversarial-frozen":
                game = replace(self.adversary, frozen=self.adversary.frozen or self.importance == "adversarial-frozen")
                return adversarial(
                    classifier, units, context, game, scope=self.scope, budget=budget, round_to=self.round_to
                )
            case "random":
                generator = torch.Generator().manual_seed(context.seed)
                return [torch.rand(unit.atoms, generator=generator, dtype=torch.float64) for unit in units]

    def _wanted(self, units: Sequence[Unit], scores: Sequence[Tensor], share: float) -> list[float]:
        return wanted(units, scores, share, scope=self.scope, round_to=self.round_to)

    def _target(self, before: float) -> float:
        return (1 - self.ratio) * (before if self.of is None else self.of)

    def _too_far(self, least: float, target: float, whole: Sequence[str]) -> ModelError:
        kept_whole = f"; {', '.join(whole[:5])} must stay whole" if whole else ""
        return ModelError(
            f"pruning ends at {least:,.4g} {WORDS[self.measure]}, with {MOST:.0%} of the channels gone{kept_whole}",
            expected=f"at most {target:,.4g}, {1 - self.ratio:.0%} of the original",
            fix="ask for less, or train a narrower network",
        )


def _costs(classifier: Classifier) -> dict[str, Callable[[Classifier], float]]:
    example = example_features(classifier)
    return {"macs": lambda other: macs(other.network, example), "parameters": lambda other: parameters(other.network)}


def _clock(context: Context) -> Callable[[Classifier], float]:
    if context.latency_ms is None:
        raise UsageError(
            "the latency that pruning shall reach cannot be measured: the first target has no clock to believe",
            fix="prune by macs or parameters, or put a target first that measures latency",
        )
    return context.latency_ms


def _left(classifier: Classifier, units: Sequence[Unit], scores: Sequence[Tensor], kept: Sequence[int]) -> Classifier:
    """A copy, in evaluation mode, with so many atoms of each unit."""
    other = copy.deepcopy(classifier).eval()
    cut(other.network, removal(units, leaving(scores, kept)))
    return other
