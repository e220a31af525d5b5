"""The models that `explain` compares: one layer in low precision, all but one, or one without its weakest channels."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import onnx

from edgefair.compress.analysis.channel_ablation import prunable_nodes, without_weak_channels
from edgefair.compress.analysis.scores import scores
from edgefair.compress.analysis.sensitivity import Comparison, Effect, Sample, effect, rank_nodes, widest_comparison
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.fp16 import half_products, to_float16
from edgefair.compress.quantization.prepare import dynamic_nodes
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision, Quantizer, quantize_dynamic
from edgefair.debias.post import Answers
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress
from edgefair.workflow.compression.candidates import Candidates


class Maker:
    """Makes graphs with some layers in low precision, without repair: 8-bit weights wherever a layer is INT8.

    Attributes:
        kind: which low precision.
        prepared: the graph with every layer in float.
        notes: what to warn of.
        nodes: names of the layers that are in low precision unless they are left in float, embeddings among them.
    """

    def __init__(self, candidates: Candidates, recipe: CalibrationRecipe, progress: Progress) -> None:
        self.kind = candidates.kind
        self.prepared = candidates.prepared(None)
        self.notes: tuple[str, ...] = ()
        if self.kind == "static":
            progress.stage(f"calibrating ({recipe.name})")
            rows, self.notes = candidates.calibration_rows(recipe)
            ranges = calibrate(
                self.prepared, candidates.batches(rows), method=recipe.method, percentile=recipe.percentile
            )
            self._quantizer = Quantizer(self.prepared, ranges, recipe)
            self.nodes = (*self._quantizer.embeddings, *self._quantizer.nodes)
        else:
            self.nodes = dynamic_nodes(self.prepared) if self.kind == "dynamic" else half_products(self.prepared)

    def __call__(self, float_nodes: frozenset[str]) -> onnx.ModelProto:
        """The graph with these layers in float and all others in low precision."""
        if float_nodes >= set(self.nodes):
            return self.prepared
        if self.kind == "static":
            return self._quantizer.quantize(Precision(float_nodes=float_nodes))
        if self.kind == "dynamic":
            return quantize_dynamic(self.prepared, reduce_range=False, float_nodes=float_nodes)
        return to_float16(self.prepared, float_nodes=float_nodes)

    def alone(self, node: str) -> onnx.ModelProto:
        """The graph with this layer in low precision and all others in float; in FP16 also what is between them."""
        if self.kind == "fp16":
            return to_float16(
                self.prepared, float_nodes=frozenset(item.name for item in self.prepared.graph.node) - {node}
            )
        return self(frozenset(self.nodes) - {node})


@dataclass(frozen=True, eq=False)
class Effects:
    """What one layer does; see `report.results.explanation.Layer`."""

    node: str
    within: Effect
    alone: Effect
    pruned: Effect | None


def layer_effects(
    make: Maker, answers: Answers, spec: ModelSpec, sample: Sample, prune_share: float, progress: Progress
) -> tuple[Comparison | None, tuple[Effects, ...]]:
    """What the gap of the compressed model compares, and the effects of every layer, most harm first.

    Raises:
        ModelError: see `compress.analysis.scores.scores`.
    """
    nodes, prunable = make.nodes, set(prunable_nodes(make.prepared))
    progress.stage(f"looking at {len(nodes)} layers")
    steps = 2 * len(nodes) + len(prunable)
    ticks = itertools.count(1)

    def tick(what: str) -> None:
        progress.step(min(next(ticks), steps), steps, what)

    whole = make(frozenset())
    dense, full = (scores(graph, answers, spec) for graph in (make.prepared, whole))
    comparison = widest_comparison(sample, full)
    ranked = rank_nodes(
        make.alone,
        whole,
        make.prepared,
        nodes,
        answers,
        spec,
        sample,
        tick=lambda _d, _t, name: tick(f"only {name}"),
    )
    found = []
    for item in ranked:
        tick(f"without {item.node}")
        without = scores(make(frozenset({item.node})), answers, spec)
        pruned = None
        if item.node in prunable:
            tick(f"pruning {item.node}")
            weakened = without_weak_channels(make.prepared, item.node, prune_share)
            pruned = effect(sample, dense, scores(weakened, answers, spec), comparison)
        found.append(Effects(item.node, effect(sample, without, full, comparison), item.effect, pruned))
    return comparison, tuple(found)
