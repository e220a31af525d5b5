"""Quantization-aware training: a fine-tune of what INT8 will compute, and the ranges that it learned."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from edgefair.compress.config import CompressConfig
from edgefair.compress.quantization.calibrate import Ranges
from edgefair.compress.quantization.dialect import DIALECTS
from edgefair.compress.quantization.placement import MOVES
from edgefair.compress.quantization.prepare import STATIC_OPS, weight_name
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.steps.base import Context, Learned, Plan, Project, Stage, Step, named
from edgefair.compress.steps.fake_quantize import Grid, Simulated, restore, simulate
from edgefair.compress.steps.fold_batch_norm import fold, foldable
from edgefair.compress.steps.layers import evaluating, used_layers
from edgefair.compress.steps.sampling import balanced_sample
from edgefair.errors import ModelError
from edgefair.training.classifier import Classifier

BATCH_ROWS = 256
# Largest change of a logit, as a share of the largest one, that rounding makes when normalizations are folded.
ROUNDING = 1e-3
# Where a classifier's network is in what `export_classifier` exports.
EXPORTED = "classifier.network."


class Qat(Step):
    """Every Conv2d and Linear reads rounded rows and has a rounded weight, in training as on the device.

    Batch normalizations are folded first, as they are on the device. Weights are rounded to the grid of their own
    maximum, rows to that of a range that starts at what training rows give and follows the batches; gradients pass
    straight through the rounding (Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", CVPR 2018).

    Behind it come `prepare_graph`, `calibrate`, and
    `quantize_static(prepared, {**calibrated, **ranges_of(prepared, learned)}, recipe, ...)`. What no layer reads (sums,
    what a last pool reads) is not simulated and keeps its calibrated range.

    Args:
        recipe: of the calibration that follows; its rows give the first ranges.
        reduce_range: 7-bit weights, as for processors whose INT8 kernels saturate 16-bit sums.
    """

    def __init__(self, recipe: CalibrationRecipe, *, reduce_range: bool = False) -> None:
        self.recipe = recipe
        bits = recipe.weight_bits if recipe.weight_bits < 8 else 7 if reduce_range else 8
        self.grid = Grid(bits, recipe.weights, recipe.activations, integer_bias=DIALECTS[recipe.runtime].integer_bias)

    @classmethod
    def from_config(cls, compress: CompressConfig, project: Project) -> Iterator[Stage]:
        """One stage, where `qat` is asked for."""
        if compress.qat:
            recipe, reduce_range = project.recipe(), project.reduce_range
            settings = {"recipe": recipe.model_dump(mode="json"), "reduce_range": reduce_range}
            # Numbers on a grid of 8 bits would be rounded once more in 16 bits.
            train = project.finetune.model_copy(update={"precision": "fp32"})
            yield Stage("qat", settings, cls(recipe, reduce_range=reduce_range), train)

    def check(self, classifier: Classifier) -> None:
        """Refuse a network without a layer in INT8.

        Raises:
            ModelError: it has no Conv2d or Linear, or does not compute.
        """
        if not used_layers(classifier):
            raise ModelError("the network has nothing to quantize", expected="torch.nn.Conv2d or torch.nn.Linear")

    def plan(self, classifier: Classifier, context: Context) -> Plan:
        """Find the normalizations to fold, and the range of what every layer reads on a sample of training rows.

        Raises:
            ModelError: nothing to quantize; a normalization that cannot be folded; activations that are not finite;
                see also `_exportable`.
        """
        self.check(classifier)
        pairs = foldable(classifier)
        folded = copy.deepcopy(classifier)
        fold(folded.network, pairs)
        chosen = balanced_sample(context.rows.cells, self.recipe.rows, seed=context.seed)
        layers = {layer.name: layer.module for layer in used_layers(folded)}
        limits: dict[str, tuple[float, float]] = {}

        def watch(name: str) -> Any:
            def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                low, high = float(inputs[0].amin()), float(inputs[0].amax())
                before = limits.get(name, (low, high))
                limits[name] = min(low, before[0]), max(high, before[1])

            return note

        hooks = [module.register_forward_pre_hook(watch(name)) for name, module in layers.items()]
        with evaluating(folded), evaluating(classifier):
            for done, inputs in enumerate(context.rows.batches(chosen, BATCH_ROWS)):
                context.progress.step(done * BATCH_ROWS, len(chosen), "ranges for quantization-aware training")
                _require_same(classifier(*inputs), folded(*inputs))
        for hook in hooks:
            hook.remove()
        if not np.isfinite(list(limits.values())).all():
            raise ModelError("an activation is not finite on training rows", fix="retrain the network")
        plan: Plan = {
            "step": "qat",
            "folded": [list(pair) for pair in pairs],
            "grid": asdict(self.grid),
            "ranges": {name: list(pair) for name, pair in limits.items()},
        }
        return plan if context.exported is None else _exportable(plan, classifier, context.exported)

    def apply(self, classifier: Classifier, plan: Mapping[str, Any]) -> None:
        """Fold, and simulate every layer, in place. The ranges become buffers, so weights and checkpoints hold them."""
        fold(classifier.network, plan["folded"])
        for name, (low, high) in plan["ranges"].items():
            simulate(classifier.network.get_submodule(name), Grid(**plan["grid"]), low, high)

    def finish(self, classifier: Classifier) -> dict[str, Learned]:
        """Make the simulated layers plain again, in place; the ranges that they learned."""
        found: dict[str, Learned] = {}
        for name, module in classifier.network.named_modules():
            if isinstance(module, Simulated):
                low, high = restore(module)
                weight = module.get_parameter("weight").detach().cpu().numpy()
                found[f"{EXPORTED}{name}.weight"] = Learned(low, high, _digest(weight))
        return found

    def describe(self, plan: Mapping[str, Any], original: Mapping[str, float]) -> tuple[str, ...]:  # noqa: ARG002
        """That INT8 was simulated, and where not."""
        done = "trained with INT8 simulated"
        if not plan.get("whole"):
            return (done,)
        return (
            done,
            "not simulated in training, because the exported graph has other weights in their place (a layer used "
            f"several times with a normalization after it): {named(plan['whole'])}; INT8 calibrates them",
        )


def _exportable(
    plan: Mapping[str, Any], classifier: Classifier, export: Callable[[Classifier], onnx.ModelProto]
) -> Plan:
    """A plan of `Qat` without the layers whose weight an exported graph does not hold; these are named in `whole`.

    A layer that is used twice with another normalization behind each use becomes two, each with a normalization in its
    weight; one that is scaled behind becomes one with other numbers. Nothing that they learned could be given to them.

    Args:
        classifier: before `apply`; it is not changed.
        export: makes the prepared graph of a network.

    Raises:
        ModelError: no layer is left, or the network cannot be exported.
    """
    other = copy.deepcopy(classifier)
    fold(other.network, plan["folded"])
    weights = {name: other.network.get_submodule(name).get_parameter("weight").detach() for name in plan["ranges"]}
    learned = {
        f"{EXPORTED}{name}.weight": Learned(low, high, _digest(weights[name].cpu().numpy()))
        for name, (low, high) in plan["ranges"].items()
    }
    found = {name for _, names in _layers_of(export(other.eval()), learned) for name in names}
    whole = [name for name in plan["ranges"] if f"{EXPORTED}{name}.weight" not in found]
    if len(whole) == len(plan["ranges"]):
        raise ModelError(
            f"no layer can be trained in INT8: the exported graph has other weights in place of {', '.join(whole[:5])}",
            expected="a layer whose weight is exported as it is",
            fix="omit qat: int8 alone calibrates what training cannot simulate",
        )
    ranges = {name: limits for name, limits in plan["ranges"].items() if name not in whole}
    return {**plan, "ranges": ranges, "whole": whole}


def ranges_of(prepared: onnx.ModelProto, learned: Mapping[str, Learned]) -> Ranges:
    """Activation name -> learned range, to be used over the calibrated ones.

    Where a reshape or pool lies between a value and the layer that reads it, the value has the range too: it is
    rounded before it is moved. Layers that read the same value learned its range together; the widest is taken.

    Args:
        prepared: a graph of `prepare_graph`, from the network that `Qat.finish` left.
        learned: what `Qat.finish` returned.

    Raises:
        ModelError: a layer that was trained is not in the graph.
    """
    made_by = {name: node for node in prepared.graph.node for name in node.output}
    readers = [name for node in prepared.graph.node for name in set(node.input)]
    missing, ranges = set(learned), Ranges()
    for node, found in _layers_of(prepared, learned):
        missing -= found
        for name in found:
            for value in _moved(node.input[0], made_by, readers):
                low, high = ranges.get(value, (learned[name].low, learned[name].high))
                ranges[value] = min(low, learned[name].low), max(high, learned[name].high)
    if missing:
        raise ModelError(
            f"the graph has no layer with the weight '{min(missing)}', whose range was learned",
            expected="the exported graph of the trained network, its weights unchanged",
        )
    return ranges


def _layers_of(prepared: onnx.ModelProto, learned: Mapping[str, Learned]) -> Iterator[tuple[onnx.NodeProto, set[str]]]:
    """Every layer of the graph, and the names in `learned` that its weight has, or that are of the same numbers."""
    constant = {item.name: numpy_helper.to_array(item) for item in prepared.graph.initializer}
    for node in prepared.graph.node:
        if node.op_type in STATIC_OPS and weight_name(node) in constant:
            weight = constant[weight_name(node)]
            digests = {_digest(weight), _digest(weight.T)}
            yield node, {name for name, item in learned.items() if name == weight_name(node) or item.weight in digests}


def _moved(value: str, made_by: Mapping[str, onnx.NodeProto], readers: list[str]) -> Iterator[str]:
    """A value, and what it was before it was moved, as long as nobody else reads that."""
    yield value
    while (maker := made_by.get(value)) is not None and maker.op_type in MOVES:
        value = maker.input[0]
        if readers.count(value) > 1:
            return
        yield value


def _digest(weight: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(weight, dtype=np.float32).tobytes()).hexdigest()


def _require_same(before: Tensor, after: Tensor) -> None:
    """Check that folding has not changed the function.

    Raises:
        ModelError: it has.
    """
    change, size = float((after - before).abs().max()), float(before.abs().max())
    if not change <= ROUNDING * max(size, 1.0):
        raise ModelError(
            f"folding the batch normalizations changes a logit by {change:.3g}",
            expected="layers whose outputs only their normalization reads",
        )
