"""Low rank: layers become products of thinner ones, where that saves multiply-accumulate operations."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.compress.config import CompressConfig, Rank
from edgefair.compress.steps.base import Context, Plan, Project, Stage, Step
from edgefair.compress.steps.factors import Split, Splits
from edgefair.compress.steps.layers import Layer, evaluating, replace_module, used_layers
from edgefair.compress.steps.sampling import balanced_sample
from edgefair.errors import ModelError, UsageError
from edgefair.training.classifier import Classifier
from edgefair.training.penultimate import last_linear
from edgefair.training.rows import TrainingRows

BATCH_ROWS = 256
NEVER_SPLIT = (nn.Conv1d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class LowRank(Step):
    """Every Linear and every convolution without groups is split, except the last linear layer.

    Per layer the cheaper one of `factors.Splits` is taken; a layer that would not get cheaper stays, and the plan says
    why.

    Args:
        rank: a share R of a layer's full rank: of the splits that keep at least the energy of a pair of that rank the
            cheapest. `energy`: the cheapest that keeps a share `energy` of the squared weights. `worst-group`: the
            lowest rank at which no group's mean loss has grown by more than `tolerance` (as in FairLRF: ranks chosen by
            what they cost the group that pays most, 2025).
        energy: for rank `energy`, above 0 and at most 1.
        tolerance: for rank `worst-group`, in nats, for the whole network: the j-th of L layers may use j / L of it.
        sample_rows: for rank `worst-group`, training rows that the losses are measured on, the same number from every
            (group, label) cell.

    Raises:
        UsageError: an option out of range.
    """

    def __init__(self, rank: Rank, *, energy: float = 0.95, tolerance: float = 0.02, sample_rows: int = 1024) -> None:
        if rank not in {"energy", "worst-group"} and not (isinstance(rank, float) and 0 < rank < 1):
            raise UsageError(
                f"low rank is {rank!r}", expected="a share of the full rank above 0 and below 1, energy or worst-group"
            )
        if not 0 < energy <= 1:
            raise UsageError(f"low rank: energy is {energy}", expected="above 0 and at most 1")
        if tolerance <= 0 or sample_rows < 1:
            raise UsageError("low rank: tolerance and sample_rows must be positive")
        self.rank = rank
        self.energy = energy
        self.tolerance = tolerance
        self.sample_rows = sample_rows

    @classmethod
    def from_config(cls, compress: CompressConfig, project: Project) -> Iterator[Stage]:
        """One stage, where `low_rank` is asked for."""
        if compress.low_rank is not None:
            step = cls(compress.low_rank, energy=compress.energy, tolerance=compress.tolerance)
            settings = {"rank": step.rank, "energy": step.energy, "tolerance": step.tolerance}
            yield Stage("low-rank", settings, step, project.finetune)

    def check(self, classifier: Classifier) -> None:
        """Refuse a network without a layer that could be split.

        Raises:
            ModelError: it has none.
        """
        layers = used_layers(classifier)
        if not any(_reason(layer, classifier) is None for layer in layers):
            raise ModelError(
                "the network has no layer that can be split",
                expected="a linear layer before the last one, or a convolution without groups",
            )

    def check_weights(self, classifier: Classifier) -> None:
        """Refuse a rank at which no layer gets cheaper, where the weights tell: a share, or energy.

        Args:
            classifier: with the weights that the step begins with.

        Raises:
            ModelError: nothing would be saved.
        """
        if self.rank == "worst-group":
            return
        candidates, skipped = _sorted_out(classifier)
        for layer in candidates:
            splits = Splits(layer)
            split = splits.cheapest(self._energy(splits))
            if split.macs < layer.macs:
                return
            skipped[layer.name] = _no_cheaper(layer, split)
        raise _nothing_saved(skipped)

    def plan(self, classifier: Classifier, context: Context) -> Plan:
        """Choose how each layer is split.

        Returns:
            layers: name -> split and its MACs before; skipped: name -> why; macs and parameters: before and after, of
            convolutions and linear layers; with rank `worst-group` also loss: mean loss of each group before and after.

        Raises:
            ModelError: no layer would get cheaper.
        """
        self.check(classifier)
        candidates, skipped = _sorted_out(classifier)
        trial = copy.deepcopy(classifier)
        judge = _Judge(trial, context, self.sample_rows) if self.rank == "worst-group" else None
        before = None if judge is None else judge.losses()
        chosen: dict[str, dict[str, Any]] = {}
        for done, layer in enumerate(candidates):
            context.progress.step(done, len(candidates), f"rank of {layer.name}")
            splits = Splits(layer)
            if judge is None or before is None:
                split: Split | None = splits.cheapest(self._energy(splits))
            else:
                limit = before + self.tolerance * (done + 1) / len(candidates)
                split = _lowest(layer, splits, trial, judge, limit)
            if split is None:
                skipped[layer.name] = "a group's loss grows too much at every rank that would save operations"
            elif split.macs >= layer.macs:
                skipped[layer.name] = _no_cheaper(layer, split)
            else:
                chosen[layer.name] = {**split.to_json(), "macs_before": layer.macs}
                replace_module(trial.network, layer.name, splits.build(split))
        if not chosen:
            raise _nothing_saved(skipped)
        both = (classifier, trial)
        plan: Plan = {
            "step": "low-rank",
            "layers": chosen,
            "skipped": skipped,
            "macs": [sum(layer.macs for layer in used_layers(item)) for item in both],
            "parameters": [sum(p.numel() for p in item.network.parameters()) for item in both],
        }
        if judge is not None and before is not None:
            plan["loss"] = _named(context.rows, before, judge.losses())
        return plan

    def apply(self, classifier: Classifier, plan: Mapping[str, Any]) -> None:
        """Split the layers in place; each keeps the best weights of its ranks."""
        layers = {layer.name: layer for layer in used_layers(classifier)}
        for name, data in plan["layers"].items():
            replace_module(classifier.network, name, Splits(layers[name]).build(Split.from_json(data)))

    def describe(self, plan: Mapping[str, Any], original: Mapping[str, float]) -> tuple[str, ...]:  # noqa: ARG002
        """How many layers were split."""
        return (f"{len(plan['layers'])} layers split into thinner ones",)

    def _energy(self, splits: Splits) -> float:
        """What a layer keeps."""
        if isinstance(self.rank, float):
            return splits.energy(max(1, round(self.rank * splits.full)))
        return self.energy


class _Judge:
    """Mean cross-entropy of each group on a sample of training rows: float64 [groups], NaN for a group without rows."""

    def __init__(self, classifier: Classifier, context: Context, rows: int) -> None:
        cells = context.rows.cells
        chosen = balanced_sample(cells, rows, seed=context.seed)
        self._classifier = classifier
        self._groups = len(cells.groups)
        self._label, self._group = cells.label[chosen], cells.group[chosen]
        self._batches = list(context.rows.batches(chosen, BATCH_ROWS))

    def losses(self) -> Tensor:
        with evaluating(self._classifier):
            logits = torch.cat([self._classifier(*inputs) for inputs in self._batches])
            each = functional.cross_entropy(logits, self._label, reduction="none").double()
        total = torch.zeros(self._groups, dtype=torch.float64).index_add(0, self._group, each)
        return total / self._group.bincount(minlength=self._groups)


def _lowest(layer: Layer, splits: Splits, trial: Classifier, judge: _Judge, limit: Tensor) -> Split | None:
    """The lowest rank, by bisection, at which every group's loss keeps its limit; None where none that saves does."""
    found, low, high = None, 1, splits.affordable
    while low <= high:
        rank = (low + high) // 2
        split = splits.cheapest(splits.energy(rank))
        replace_module(trial.network, layer.name, splits.build(split))
        # A group without rows has no loss to grow; a loss that is NaN keeps no limit.
        kept = bool(((judge.losses() <= limit) | limit.isnan()).all())
        found, low, high = (split, low, rank - 1) if kept else (found, rank + 1, high)
    replace_module(trial.network, layer.name, copy.deepcopy(layer.module))
    return found


def _sorted_out(classifier: Classifier) -> tuple[list[Layer], dict[str, str]]:
    """The layers that could be split, and why the others stay as they are: name -> reason."""
    layers = used_layers(classifier)
    skipped = {layer.name: why for layer in layers if (why := _reason(layer, classifier)) is not None}
    skipped |= {
        name: f"a {type(module).__name__}, which is not split"
        for name, module in classifier.network.named_modules()
        if isinstance(module, NEVER_SPLIT)
    }
    return [layer for layer in layers if layer.name not in skipped], skipped


def _no_cheaper(layer: Layer, split: Split) -> str:
    return f"needs {layer.macs} multiply-accumulates, and {split.macs} as {_shape(split)}"


def _nothing_saved(skipped: Mapping[str, str]) -> ModelError:
    reasons = "; ".join(f"{name}: {why}" for name, why in skipped.items())
    return ModelError(f"factoring makes no layer cheaper: {reasons}", fix="ask for a lower rank, or prune")


def _reason(layer: Layer, classifier: Classifier) -> str | None:
    """Why a layer stays as it is whatever the rank."""
    if layer.module is last_linear(classifier.network):
        return "the last linear layer"
    if getattr(layer.module, "groups", 1) > 1:
        return "a grouped or depthwise convolution"
    if layer.shares:
        return "shares its weight with another module"
    return None


def _shape(split: Split) -> str:
    return f"a {'pair' if split.kind == 'pair' else 'Tucker product'} of rank {' x '.join(map(str, split.ranks))}"


def _named(rows: TrainingRows, before: Tensor, after: Tensor) -> dict[str, list[float]]:
    found = zip(rows.cells.groups, before.tolist(), after.tolist(), strict=True)
    return {name: [was, now] for name, was, now in found if not math.isnan(was)}
