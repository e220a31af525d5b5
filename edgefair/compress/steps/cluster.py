"""Weight clustering: the weights of a layer share few values, so the file gets smaller; nothing gets faster."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn

from edgefair.compress.config import Centroids, CompressConfig
from edgefair.compress.steps.base import Context, Learned, Plan, Project, Stage, Step
from edgefair.compress.steps.layers import Layer, used_layers
from edgefair.errors import ModelError, UsageError
from edgefair.training.classifier import Classifier

ITERATIONS = 300
# A value of a codebook, float32.
VALUE_BITS = 32


class Cluster(Step):
    """The weights of every Conv2d and Linear become k values, by k-means in each layer.

    In the fine-tune a layer's parameters are its k values: weights that share one move together, by the sum of their
    gradients (Han, Mao and Dally, "Deep compression", ICLR 2016). Who shares with whom is decided once. Afterwards
    `finish` writes the values out as ordinary weights: the ONNX file stores them in full, and gets smaller when it is
    compressed for transport. The plan says how small. Biases stay.

    Args:
        k: values in a layer at most.
        centroids: `k-means` begins at the values nearest to the weights, `linear` at evenly spaced ones between the
            smallest and the largest weight (Han et al., section 3.2; the default of TensorFlow's toolkit), where a
            weight takes the nearest and a value that none takes goes.

    Raises:
        UsageError: k out of range, unknown centroids.
    """

    def __init__(self, k: int, *, centroids: Centroids = "k-means") -> None:
        if not 2 <= k <= 4096:
            raise UsageError(f"cluster is {k}", expected="from 2 to 4096 values in a layer")
        if centroids not in get_args(Centroids):
            raise UsageError(f"centroids are '{centroids}'", expected=" or ".join(get_args(Centroids)))
        self.k = k
        self.centroids = centroids

    @classmethod
    def from_config(cls, compress: CompressConfig, project: Project) -> Iterator[Stage]:
        """One stage, where `cluster` is asked for."""
        if compress.cluster is not None:
            step = cls(compress.cluster, centroids=compress.centroids)
            # What was made before there was a choice is found again.
            chosen = {} if step.centroids == "k-means" else {"centroids": step.centroids}
            yield Stage("cluster", {"values": compress.cluster, **chosen}, step, project.finetune)

    def check(self, classifier: Classifier) -> None:
        """Refuse a network without a layer of more than k weights.

        Raises:
            ModelError: it has none.
        """
        layers = used_layers(classifier)
        if not any(self._reason(layer) is None for layer in layers):
            raise ModelError(
                "the network has no layer whose weights can be clustered",
                expected=f"a Conv2d or Linear with more than {self.k} weights",
                fix="ask for fewer clusters",
            )

    def plan(self, classifier: Classifier, context: Context) -> Plan:
        """Say what clustering gives.

        Returns:
            layers: name -> number of weights and of values; error: sum of squared changes over sum of squared weights;
            bytes: in float32, as indices of ceil(log2(values)) bits with a codebook, and with entropy-coded indices
            (the bound that no code goes below). skipped: name -> why.

        Raises:
            ModelError: no layer can be clustered, or weights that are not finite.
        """
        self.check(classifier)
        layers = used_layers(classifier)
        skipped = {layer.name: why for layer in layers if (why := self._reason(layer)) is not None}
        chosen: dict[str, dict[str, Any]] = {}
        for done, layer in enumerate(layers):
            context.progress.step(done, len(layers), f"clustering {layer.name}")
            if layer.name not in skipped:
                weight = layer.module.weight.detach()
                chosen[layer.name] = _described(weight, *self._values(weight))
        totals = [item["bytes"] for item in chosen.values()]
        return {
            "step": "cluster",
            "k": self.k,
            "layers": chosen,
            "skipped": skipped,
            "bytes": {kind: sum(item[kind] for item in totals) for kind in totals[0]},
        }

    def apply(self, classifier: Classifier, plan: Mapping[str, Any]) -> None:
        """Make the layers' values their parameters, in place."""
        for name in plan["layers"]:
            module = classifier.network.get_submodule(name)
            codebook, index = self._values(module.get_parameter("weight").detach())
            del module.weight
            module.codebook = nn.Parameter(codebook)
            module.register_buffer("index", index)
            module.__class__ = CLUSTERED[type(module)]

    def finish(self, classifier: Classifier) -> dict[str, Learned]:
        """Write the shared values out as ordinary weights, in place."""
        for module in classifier.network.modules():
            if isinstance(module, Shared):
                weight = module.weight.detach().clone()
                del module.codebook, module.index
                module.__class__ = PLAIN[type(module)]  # type: ignore[assignment]
                module.register_parameter("weight", nn.Parameter(weight))
        return {}

    def describe(self, plan: Mapping[str, Any], original: Mapping[str, float]) -> tuple[str, ...]:  # noqa: ARG002
        """What clusters are good for."""
        return ("weights in clusters (smaller when packed, no faster)",)

    def _values(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return linear(weight, self.k) if self.centroids == "linear" else k_means(weight, self.k)

    def _reason(self, layer: Layer) -> str | None:
        """Why a layer stays as it is."""
        if layer.shares:
            return "shares its weight with another module"
        if layer.module.weight.numel() <= self.k:
            return f"has only {layer.module.weight.numel()} weights"
        return None


def k_means(weight: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Clusters the numbers of a tensor by Lloyd's algorithm; equal in, equal out.

    It starts where fine quantizers have their values, with the density f(w)^(1/3) (Panter and Dite, "Quantization
    distortion in pulse-count modulation with nonuniform spacing of levels", 1951): between two neighbours at distance d
    is a share d^(2/3) of them. A value that nobody is nearest to goes to the number that is farthest from its own.

    Returns:
        Codebook, rising, float32 [at most k], and for every number the position of its value: int32, shaped as weight.

    Raises:
        ModelError: numbers that are not finite.
    """
    _require_finite(weight)
    numbers, order = weight.double().flatten().sort()
    distinct = torch.unique_consecutive(numbers)
    if len(distinct) <= k:
        centres = distinct
    else:
        width = distinct.diff().pow(2 / 3).cumsum(0)
        steps = (torch.arange(k, dtype=torch.float64) + 0.5) / k * width[-1]
        centres = _settled(numbers, distinct[torch.searchsorted(width, steps)])
        for _ in range(k - len(centres)):
            away = (numbers - centres[torch.searchsorted(_edges(centres), numbers)]).abs()
            centres = _settled(numbers, torch.cat([centres, numbers[away.argmax()][None]]).sort().values)
    nearest = torch.searchsorted(_edges(centres), numbers)
    index = torch.empty_like(nearest).scatter_(0, order, nearest)
    return centres.float(), index.to(torch.int32).reshape(weight.shape)


def linear(weight: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The nearest of k evenly spaced values for every number of a tensor; those that none is nearest to are left out.

    Returns:
        As `k_means`.

    Raises:
        ModelError: numbers that are not finite.
    """
    _require_finite(weight)
    numbers = weight.double()
    values = torch.linspace(float(numbers.min()), float(numbers.max()), k, dtype=torch.float64)
    taken, index = torch.unique(torch.searchsorted(_edges(values), numbers.flatten()), return_inverse=True)
    return values[taken].float(), index.to(torch.int32).reshape(weight.shape)


def _require_finite(weight: Tensor) -> None:
    if not bool(torch.isfinite(weight).all()):
        raise ModelError("a layer has weights that are not finite", fix="retrain the network")


def _settled(numbers: Tensor, centres: Tensor) -> Tensor:
    """Lloyd's algorithm on rising numbers: every centre becomes the mean of those nearest to it, or goes."""
    sums = torch.cat([numbers.new_zeros(1), numbers.cumsum(0)])
    for _ in range(ITERATIONS):
        cuts = torch.searchsorted(numbers, _edges(centres))
        cuts = torch.cat([cuts.new_zeros(1), cuts, cuts.new_full((1,), len(numbers))])
        filled = cuts[1:] > cuts[:-1]
        first, last = cuts[:-1][filled], cuts[1:][filled]
        moved = (sums[last] - sums[first]) / (last - first)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def _edges(centres: Tensor) -> Tensor:
    return (centres[1:] + centres[:-1]) / 2


class Shared(nn.Module):
    """What makes a layer a clustered one: weight = codebook[index], with the codebook as its parameter."""

    codebook: nn.Parameter
    index: Tensor

    @property
    def weight(self) -> Tensor:
        """By index_select, whose gradient is summed in a fixed order."""
        return self.codebook.index_select(0, self.index.flatten()).reshape(self.index.shape)


class ClusteredLinear(Shared, nn.Linear):  # type: ignore[override]
    """A Linear whose weights share values."""


class ClusteredConv2d(Shared, nn.Conv2d):  # type: ignore[override]
    """A Conv2d whose weights share values."""


CLUSTERED: dict[type[nn.Module], type[Shared]] = {nn.Linear: ClusteredLinear, nn.Conv2d: ClusteredConv2d}
PLAIN = {clustered: plain for plain, clustered in CLUSTERED.items()}


def _described(weight: Tensor, codebook: Tensor, index: Tensor) -> dict[str, Any]:
    count, values = weight.numel(), len(codebook)
    share = index.flatten().bincount(minlength=values).double() / count
    entropy = float(-(share * share.clamp(min=1e-300).log2()).sum())
    bits = {
        "float": VALUE_BITS * count,
        "index": count * math.ceil(math.log2(max(values, 2))),
        "entropy": count * entropy,
    }
    change = (codebook[index.long()] - weight).double().square().sum() / weight.double().square().sum().clamp(
        min=1e-300
    )
    return {
        "weights": count,
        "values": values,
        "error": float(change),
        "bytes": {
            kind: math.ceil((size + (0 if kind == "float" else VALUE_BITS * values)) / 8) for kind, size in bits.items()
        },
    }
