"""The models that `explain` compares: one layer in low precision, all but one, or one without its weakest channels."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from edgefair.compress.analysis.channel_ablation import prunable_nodes, without_weak_channels
from edgefair.compress.analysis.scores import Scores, scores
from edgefair.compress.analysis.sensitivity import Comparison, Effect, Sample, effect, rank_nodes, widest_comparison
from edgefair.compress.low_precision import LowPrecision
from edgefair.compress.quantization.static import Precision
from edgefair.debias.post import Answers
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress


@dataclass(frozen=True, eq=False)
class Effects:
    """What one layer does; see `report.results.explanation.Layer`."""

    node: str
    within: Effect
    alone: Effect
    pruned: Effect | None


@dataclass(frozen=True, eq=False)
class LayerEffects:
    """What every layer does, most harm first.

    Attributes:
        comparison: of two groups, in which the compressed model differs most.
        before, after: what the model answers in float and in low precision throughout.
    """

    comparison: Comparison | None
    layers: tuple[Effects, ...]
    before: Scores
    after: Scores


def layer_effects(
    low: LowPrecision, answers: Answers, spec: ModelSpec, sample: Sample, prune_share: float, progress: Progress
) -> LayerEffects:
    """What low precision and pruning of every layer do to the answers.

    Raises:
        ModelError: see `compress.analysis.scores.scores`.
    """
    nodes, prunable = low.nodes, set(prunable_nodes(low.prepared))
    progress.stage(f"analysing {len(nodes)} layers")
    steps = 2 * len(nodes) + len(prunable)
    ticks = itertools.count(1)

    def tick(what: str) -> None:
        progress.step(min(next(ticks), steps), steps, what)

    whole = low.convert(Precision())
    reference, full = (scores(graph, answers, spec) for graph in (low.prepared, whole))
    comparison = widest_comparison(sample, full)
    ranked = rank_nodes(
        low.alone,
        whole,
        low.prepared,
        nodes,
        answers,
        spec,
        sample,
        tick=lambda _d, _t, name: tick(f"only {name}"),
    )
    found = []
    for item in ranked:
        tick(f"without {item.node}")
        rest = low.convert(Precision(float_nodes=frozenset({item.node}))) if len(nodes) > 1 else low.prepared
        without = scores(rest, answers, spec)
        pruned = None
        if item.node in prunable:
            tick(f"pruning {item.node}")
            weakened = without_weak_channels(low.prepared, item.node, prune_share)
            pruned = effect(sample, reference, scores(weakened, answers, spec), comparison)
        found.append(Effects(item.node, effect(sample, without, full, comparison), item.effect, pruned))
    return LayerEffects(comparison, tuple(found), reference, full)
