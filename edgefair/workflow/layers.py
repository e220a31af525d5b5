"""The models that `explain` compares: one layer in INT8, all but one, or one without its weakest channels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import onnx
from numpy.typing import NDArray

from edgefair.compress.prepared import DYNAMIC_OPS, quantizable_nodes
from edgefair.compress.quantize import Precision, Quantizer, quantize_dynamic
from edgefair.compress.ranges import calibrate
from edgefair.compress.recipe import CalibrationRecipe
from edgefair.compress.scores import scores
from edgefair.compress.sensitivity import Comparison, Effect, Sample, effect, rank_nodes, widest_comparison
from edgefair.compress.weak_channels import prunable_nodes, without_weak_channels
from edgefair.data.rows import TableRows
from edgefair.debias.post import Answers
from edgefair.probe.prepare import needs_preparation, prepare
from edgefair.probe.spec import ModelSpec
from edgefair.workflow.candidates import Candidates
from edgefair.workflow.progress import Progress

BATCH_ROWS = 64


class Maker:
    """Makes INT8 graphs with some layers in float, without repair: 8-bit weights wherever a layer is INT8.

    Attributes:
        prepared: the graph with every layer in float.
        nodes: names of the layers that become INT8.
        static: whether activations have calibrated ranges.
    """

    def __init__(self, candidates: Candidates, recipe: CalibrationRecipe, progress: Progress) -> None:
        self.static = candidates.kind == "static"
        self.prepared = candidates.prepared(None)
        nodes = quantizable_nodes(self.prepared)
        if self.static:
            progress(0, 0, f"calibrating ({recipe.name})")
            batches = candidates.calibration_batches(recipe)
            ranges = calibrate(self.prepared, batches, method=recipe.method, percentile=recipe.percentile)
            self._quantizer = Quantizer(self.prepared, ranges, recipe)
            self.nodes = nodes
        else:
            products = {node.name for node in self.prepared.graph.node if node.op_type in DYNAMIC_OPS}
            self.nodes = tuple(name for name in nodes if name in products)

    def __call__(self, float_nodes: frozenset[str]) -> onnx.ModelProto:
        """The graph with these layers in float and all others in INT8."""
        if float_nodes >= set(self.nodes):
            return self.prepared
        if self.static:
            return self._quantizer.quantize(Precision(float_nodes=float_nodes))
        return quantize_dynamic(self.prepared, reduce_range=False, float_nodes=float_nodes)


@dataclass(frozen=True, eq=False)
class Effects:
    """What one layer does; see `report.explanation.Layer`."""

    node: str
    within: Effect
    alone: Effect
    pruned: Effect | None


def layer_effects(
    make: Maker, answers: Answers, spec: ModelSpec, sample: Sample, prune_share: float, progress: Progress
) -> tuple[Comparison | None, tuple[Effects, ...]]:
    """What the gap of the compressed model compares, and the effects of every layer, most harm first.

    Raises:
        ModelError: see `compress.scores.scores`.
    """
    nodes, prunable = make.nodes, set(prunable_nodes(make.prepared))
    steps = 2 * len(nodes) + len(prunable)
    ticks = itertools.count(1)

    def tick(what: str) -> None:
        progress(min(next(ticks), steps), steps, what)

    dense = scores(make.prepared, answers, spec)
    comparison = widest_comparison(sample, scores(make(frozenset()), answers, spec))
    found = []
    for item in rank_nodes(
        make, make.prepared, nodes, answers, spec, sample, progress=lambda _done, _total, name: tick(f"without {name}")
    ):
        tick(f"only {item.node}")
        alone = make(frozenset(nodes) - {item.node})
        pruned = None
        if item.node in prunable:
            tick(f"pruning {item.node}")
            weakened = without_weak_channels(make.prepared, item.node, prune_share)
            pruned = effect(sample, dense, scores(weakened, answers, spec), comparison)
        found.append(
            Effects(
                node=item.node,
                within=item.effect,
                alone=effect(sample, dense, scores(alone, answers, spec), comparison),
                pruned=pruned,
            )
        )
    return comparison, tuple(found)


def graph_inputs(rows: TableRows, spec: ModelSpec) -> Iterator[dict[str, NDArray[Any]]]:
    """The rows as the graph takes them, few at a time: with what the device would prepare."""
    wanting = [item for item in spec.inputs if needs_preparation(item)]
    for batch in rows.inputs(spec, rows.batch_rows(spec, BATCH_ROWS)):
        yield prepare(batch, wanting)
