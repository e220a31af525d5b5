"""Structured pruning as a step of a recipe."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

import torch
from pydantic import BaseModel
from torch import Tensor

from edgefair.compress.config import CompressConfig, Measure, Scope
from edgefair.compress.names import IMPORTANCE_OPTIONS, RANDOM_WEIGHTS
from edgefair.compress.steps.base import Context, Plan, Project, Stage, Step, named
from edgefair.compress.steps.cost import macs, parameters
from edgefair.compress.steps.layers import example_features
from edgefair.compress.steps.pruning import Goal, open_importance
from edgefair.compress.steps.pruning.choose import MOST, ROUND_TO, filled, leaving, rounded, smallest_share, wanted
from edgefair.compress.steps.pruning.cut import cut, without
from edgefair.compress.steps.pruning.units import Unit, find_units, removal
from edgefair.errors import ModelError, UsageError
from edgefair.training.classifier import Classifier

# Shares among which the one that reaches the target is sought; a measurement takes seconds and is not that exact.
LEVELS, TIMED_LEVELS = 512, 64
# Below this share of the target, what rounding took too much is given back.
NEAR = 0.98
WORDS = {"macs": "MACs", "parameters": "parameters", "latency": "ms"}


class Prune(Step):
    """Remove the least important channels and heads until a share of the cost is gone.

    Args:
        ratio: share of the cost that is removed, above 0 and below 1.
        scope: `local` takes the same share from every layer, `global` compares channels across layers.
        importance: one of `IMPORTANCES`.
        measure: the cost: multiply-accumulates, parameters, or median latency on the first target.
        round_to: channels that stay are a multiple of this where a layer is wide enough (`choose.ROUND_TO`).
        options: of the importance.

    Raises:
        UsageError: a setting out of range, an unknown importance or one that has no such option.
    """

    def __init__(
        self,
        ratio: float,
        *,
        scope: Scope = "local",
        importance: str = "magnitude",
        measure: Measure = "macs",
        round_to: int = ROUND_TO,
        **options: Any,
    ) -> None:
        if not 0 < ratio < 1:
            raise UsageError(f"prune ratio is {ratio}", expected="above 0 and below 1: the share of the cost to remove")
        for name, value, known in (("scope", scope, Scope), ("measure", measure, Measure)):
            if value not in get_args(known):
                raise UsageError(f"prune {name} is '{value}'", expected=f"one of {', '.join(get_args(known))}")
        if round_to < 1:
            raise UsageError(f"round_to is {round_to}", expected="1 or more")
        self.ratio = ratio
        self.scope = scope
        self.importance = importance
        self.measure = measure
        self.round_to = round_to
        self._rank = open_importance(importance, options)

    @classmethod
    def from_config(cls, compress: CompressConfig, project: Project) -> Iterator[Stage]:
        """A stage for every round, each of which removes the same share of what is left.

        Raises:
            UsageError: a first target without a clock where a latency shall be reached.
        """
        if compress.prune is None:
            return
        if compress.measure == "latency" and not project.has_clock:
            raise UsageError(
                f"pruning aims at a latency, and the first target '{project.target}' does not measure latency",
                fix="prune by macs or parameters, or put a target first that measures latency",
            )
        options: dict[str, Any] = {
            key: getattr(compress, key) for key in ("scope", "importance", "measure", "round_to")
        }
        own = {key: getattr(compress, key) for key in IMPORTANCE_OPTIONS.get(compress.importance, ())}
        options |= {
            key: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            for key, value in own.items()
            if value is not None
        }
        timed_on = {"target": project.target} if compress.measure == "latency" else {}
        frozen = compress.importance in RANDOM_WEIGHTS
        for number in range(1, compress.rounds + 1):
            last = number == compress.rounds
            ratio = compress.prune if last else 1 - (1 - compress.prune) ** (number / compress.rounds)
            epochs = project.finetune.epochs if last else max(1, project.finetune.epochs // compress.rounds)
            yield Stage(
                "prune" if last else f"prune-{number}",
                {"ratio": ratio, **options, **timed_on},
                cls(ratio, **options),
                None if frozen else project.finetune.model_copy(update={"epochs": epochs}),
                fresh=frozen,
                goes_on=not last,
            )

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
        least, target = cost(_left(classifier, units, scores, kept)), (1 - self.ratio) * cost(classifier)
        if least > target:
            raise self._too_far(least, target, whole)

    def plan(self, classifier: Classifier, context: Context) -> Plan:
        """Decide which channels leave. `adversarial` trains the weights in place; the others leave them alone.

        Of the cost in `context.original`, where there is one, steps with growing ratios and fine-tunes between them end
        where a single step would.

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
        target = (1 - self.ratio) * context.original.get(self.measure, before[self.measure])
        context.progress.stage(f"ranking channels by {self.importance}")
        budget = min(1.0, target / before[self.measure])
        scores = self._rank(classifier, units, context, Goal(self.scope, budget, self.round_to))
        kept = [unit.atoms for unit in units]
        tried = {tuple(kept): before[self.measure]}
        trial = copy.deepcopy(classifier).eval()

        def enough(kept: Sequence[int]) -> bool:
            if tuple(kept) not in tried:
                context.progress.step(len(tried), 0, f"pruning to {target:.4g} {WORDS[self.measure]}")
                with without(trial.network, removal(units, leaving(scores, kept))):
                    tried[tuple(kept)] = costs[self.measure](trial)
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
                raise ModelError("the pruned network gives non-finite numbers")
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

    def describe(self, plan: Mapping[str, Any], original: Mapping[str, float]) -> tuple[str, ...]:
        """What is left of the original network, and which layers were not pruned."""
        macs, parameters = (plan["after"][name] / original[name] for name in ("macs", "parameters"))
        what = "the network with random weights " if self.importance in RANDOM_WEIGHTS else ""
        what += (
            f"pruned {plan['scope']}ly by {plan['importance']} to {macs:.0%} of the multiply-accumulate operations and "
            f"{parameters:.0%} of the parameters"
        )
        if not plan["whole"]:
            return (what,)
        whole = named(plan["whole"])
        return (what, f"pruning skipped, because the forward pass expects all of their channels: {whole}")

    def _wanted(self, units: Sequence[Unit], scores: Sequence[Tensor], share: float) -> list[float]:
        return wanted(units, scores, share, scope=self.scope, round_to=self.round_to)

    def _too_far(self, least: float, target: float, whole: Sequence[str]) -> ModelError:
        kept_whole = f"; {', '.join(whole[:5])} must keep all channels" if whole else ""
        return ModelError(
            f"pruning stops at {least:,.4g} {WORDS[self.measure]}, with {MOST:.0%} of the channels gone{kept_whole}",
            expected=f"at most {target:,.4g}, {1 - self.ratio:.0%} of the original",
            fix="ask for less, or train a narrower network",
        )


def _costs(classifier: Classifier) -> dict[str, Callable[[Classifier], float]]:
    example = example_features(classifier)
    return {"macs": lambda other: macs(other.network, example), "parameters": lambda other: parameters(other.network)}


def _clock(context: Context) -> Callable[[Classifier], float]:
    if context.latency_ms is None:
        raise UsageError(
            "the latency that pruning aims at cannot be measured: the first target does not measure latency",
            fix="prune by macs or parameters, or put a target first that measures latency",
        )
    return context.latency_ms


def _left(classifier: Classifier, units: Sequence[Unit], scores: Sequence[Tensor], kept: Sequence[int]) -> Classifier:
    """A copy, in evaluation mode, with so many atoms of each unit."""
    other = copy.deepcopy(classifier).eval()
    cut(other.network, removal(units, leaving(scores, kept)))
    return other
