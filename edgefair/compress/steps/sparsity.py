"""Unstructured sparsity: single weights become 0. A baseline for studies; nothing gets faster or smaller by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgefair.compress.config import CompressConfig, Schedule, Scope
from edgefair.compress.steps.base import Context, Learned, Plan, Project, Stage, Step
from edgefair.compress.steps.layers import Layer, used_layers
from edgefair.errors import ModelError, UsageError
from edgefair.training.classifier import Classifier
from edgefair.training.penultimate import last_linear

# Steps after which `constant` chooses anew, as TensorFlow's toolkit.
EVERY = 100


class Sparsify(Step):
    """The smallest weights become 0 and stay 0 (Han et al., "Learning both weights and connections", NeurIPS 2015).

    No speed: onnxruntime and TensorRT compute dense products, and the file keeps its size. It is here because much of
    the literature on pruning and fairness measures it (Hooker et al., 2019), as a baseline for `prune`.

    In the fine-tune a layer computes with weight * mask: a zero stays, whatever moves the weight below it. Afterwards
    `finish` writes the products out as ordinary weights. Biases, normalizations, the last linear layer and weights that
    two modules share are left alone.

    Args:
        ratio: share of the weights of Conv2d and Linear layers that becomes 0, above 0 and below 1.
        scope: `local` takes the share from every layer, `global` from all weights together.
        schedule: `once` leaves the zeros where they are; `constant` chooses them anew every 100 steps of the fine-tune,
            from the first on, and weights that are 0 may come back (ConstantSparsity of TensorFlow's toolkit).

    Raises:
        UsageError: a ratio out of range, an unknown scope or schedule, or a constant one of all weights together.
    """

    def __init__(self, ratio: float, *, scope: Scope = "local", schedule: Schedule = "once") -> None:
        if not 0 < ratio < 1:
            raise UsageError(f"sparsity is {ratio}", expected="above 0 and below 1: the share of weights that become 0")
        if scope not in {"local", "global"}:
            raise UsageError(f"scope is '{scope}'", expected="local or global")
        if schedule not in get_args(Schedule):
            raise UsageError(f"schedule is '{schedule}'", expected=" or ".join(get_args(Schedule)))
        if (scope, schedule) == ("global", "constant"):
            raise UsageError("schedule constant chooses in every layer, and scope is global", fix="use scope local")
        self.ratio = ratio
        self.scope = scope
        self.schedule = schedule

    @classmethod
    def from_config(cls, compress: CompressConfig, project: Project) -> Iterator[Stage]:
        """One stage, where `sparsity` is asked for."""
        if compress.sparsity is not None:
            step = cls(compress.sparsity, scope=compress.scope, schedule=compress.schedule)
            # What was made before there was a choice is found again.
            chosen = {} if step.schedule == "once" else {"schedule": step.schedule}
            yield Stage("sparsity", {"ratio": step.ratio, "scope": step.scope, **chosen}, step, project.finetune)

    def check(self, classifier: Classifier) -> None:
        """Refuse a network without such a layer, or one in which a layer would have no weight left.

        Raises:
            ModelError: there is no layer, or one would be emptied.
        """
        masks = self._masks(classifier)
        if not masks:
            raise ModelError(
                "the network has no layer whose weights can become 0",
                expected="a Conv2d, or a Linear before the last one",
            )
        for name, mask in masks.items():
            if not bool(mask.any()):
                raise ModelError(
                    f"a sparsity of {self.ratio:g} ({self.scope}) would set every weight of '{name}' to 0",
                    expected="at least one weight left in every layer, or no signal gets through",
                    fix="ask for less" + (", or use scope local" if self.scope == "global" else ""),
                )

    def plan(self, classifier: Classifier, context: Context) -> Plan:
        """Say what becomes 0.

        Returns:
            layers: name -> weights, and how many of them become 0; weights and zeros: their sums; skipped: name -> why.

        Raises:
            ModelError: no layer, or one would be emptied.
        """
        context.progress.stage("choosing the weights that become 0")
        self.check(classifier)
        layers = {name: [mask.numel(), int((~mask).sum())] for name, mask in self._masks(classifier).items()}
        weights, zeros = (sum(counts) for counts in zip(*layers.values(), strict=True))
        return {
            "step": "sparsity",
            "ratio": self.ratio,
            "scope": self.scope,
            "layers": layers,
            "weights": weights,
            "zeros": zeros,
            "skipped": {layer.name: why for layer in used_layers(classifier) if (why := _reason(layer, classifier))},
        }

    def apply(self, classifier: Classifier, plan: Mapping[str, Any]) -> None:
        """Put a mask before every layer of the plan, in place."""
        masks = self._masks(classifier)
        for name in plan["layers"]:
            layer = classifier.network.get_submodule(name)
            kind = ConstantMask(masks[name], self.ratio) if self.schedule == "constant" else Mask(masks[name])
            parametrize.register_parametrization(layer, "weight", kind)

    def finish(self, classifier: Classifier) -> dict[str, Learned]:
        """Write the masked weights out as ordinary ones, in place."""
        for module in list(classifier.network.modules()):
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight")
        return {}

    def describe(self, plan: Mapping[str, Any], original: Mapping[str, float]) -> tuple[str, ...]:  # noqa: ARG002
        """How many weights are zeros, and that nothing is faster by it."""
        zeros = plan["zeros"] / plan["weights"]
        return (f"sparsity {zeros:.0%} of {plan['weights']:,} weights: zeros, but no fewer operations and no speed-up",)

    def _masks(self, classifier: Classifier) -> dict[str, Tensor]:
        """By layer name, in its weight's shape: whether a weight stays."""
        weights = {
            layer.name: layer.module.weight.detach()
            for layer in used_layers(classifier)
            if _reason(layer, classifier) is None
        }
        if not weights:
            return {}
        if self.scope == "local":
            return {name: _largest(weight.flatten(), self.ratio).view_as(weight) for name, weight in weights.items()}
        whole = _largest(torch.cat([weight.flatten() for weight in weights.values()]), self.ratio)
        parts = torch.split(whole, [weight.numel() for weight in weights.values()])
        return {name: part.view_as(weight) for (name, weight), part in zip(weights.items(), parts, strict=True)}


class Mask(nn.Module):
    """Keeps the zeros of a weight: weight * mask."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its zeros."""
        return weight * self.mask


class ConstantMask(Mask):
    """A mask that is chosen anew: in training it empties the weight itself, whose zeros then have a gradient.

    A weight that is 0 moves by a step at most before it is emptied again, and stays where it has become larger than
    another when the mask is chosen.
    """

    passes: Tensor

    def __init__(self, mask: Tensor, ratio: float) -> None:
        super().__init__(mask)
        self.ratio = ratio
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its zeros."""
        if not self.training:
            return super().forward(weight)
        with torch.no_grad():
            if int(self.passes) % EVERY == 0:
                self.mask.copy_(_largest(weight.flatten(), self.ratio).view_as(weight))
            self.passes += 1
            weight *= self.mask
        return weight


def _largest(values: Tensor, ratio: float) -> Tensor:
    """Whether each of some values stays where a share of them leaves, bool [n]; of equal magnitudes the first leave."""
    stays = torch.ones_like(values, dtype=torch.bool)
    stays[values.abs().sort(stable=True).indices[: round(ratio * len(values))]] = False
    return stays


def _reason(layer: Layer, classifier: Classifier) -> str | None:
    """Why a layer keeps its weights."""
    if layer.module is last_linear(classifier.network):
        return "the last linear layer"
    if layer.shares:
        return "shares its weight with another module"
    return None
