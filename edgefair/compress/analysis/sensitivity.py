"""Which layer moves whose decisions: layer by layer, how quantizing or pruning it changes every (group, label) cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgefair.compress.analysis.scores import Floats, Ints, Scores, scores
from edgefair.debias.post import Answers

if TYPE_CHECKING:
    import onnx

    from edgefair.probe.onnx_files.spec import ModelSpec

# A row is near the boundary where its margin is small beside this share of the usual one.
NEAR = 0.25
# In log-odds.
NARROWEST = 1e-3

# From a layer's name: the graph with that layer alone in low precision.
Alone = Callable[[str], "onnx.ModelProto"]


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows that stand for a split.

    Attributes:
        label: int64 [rows].
        cell: index of every row's (group, label) cell, int64 [rows], 0 <= cell < cells.
        cells: how many there are.
        groups: attribute -> index of every row's group, int64 [rows].
        weight: rows of the split that each stands for, float64 [rows].
    """

    label: Ints
    cell: Ints
    cells: int
    groups: Mapping[str, Ints]
    weight: Floats


@dataclass(frozen=True)
class Comparison:
    """The two groups whose rates differ most.

    Attributes:
        label: whose rows are compared.
        choice: the decision whose rates are.
        high: group that gets it more often.
        low: the other one.
        difference: of the rates.
    """

    attribute: str
    label: int
    choice: int
    high: int
    low: int
    difference: float


@dataclass(frozen=True, eq=False)
class Effect:
    """How far a change of the graph moves its answers.

    Attributes:
        rows: of every cell, int64 [cells].
        loss: growth of the mean loss, in nats, float64 [cells]; like the next three NaN where a cell has no rows.
        log_odds: mean signed change of the label's log-odds, float64 [cells].
        probability: mean signed change of P(label), float64 [cells].
        flips: share of the rows that are decided otherwise, float64 [cells].
        worst_loss: growth of the largest mean loss of a group.
        gap: growth of the smoothed difference of the comparison (see `gap_shift`); None without a comparison.
    """

    rows: Ints
    loss: Floats
    log_odds: Floats
    probability: Floats
    flips: Floats
    worst_loss: float
    gap: float | None


@dataclass(frozen=True, eq=False)
class NodeEffect:
    """What low precision in one layer alone does, and how much harm that is: see `most_harm_first`."""

    node: str
    effect: Effect
    harm: float


def widest_comparison(sample: Sample, found: Scores) -> Comparison | None:
    """The comparison that is the equalized-odds gap of the sample; None where no label has rows of two groups."""
    best = None
    classes = found.probability.shape[1]
    choices = range(classes) if classes > 2 else (1,)
    for attribute, group in sample.groups.items():
        for label in np.unique(sample.label).tolist():
            there = sample.label == label
            present = np.unique(group[there]).tolist()
            for choice in choices:
                chosen = (found.decision == choice).astype(np.float64)
                rate = {g: _mean(chosen, sample.weight, there & (group == g)) for g in present}
                if len(rate) < 2:
                    continue
                ordered = sorted(rate, key=rate.__getitem__)
                low, high = ordered[0], ordered[-1]
                difference = rate[high] - rate[low]
                if best is None or difference > best.difference:
                    best = Comparison(attribute, label, choice, high, low, difference)
    return best


def gap_shift(sample: Sample, comparison: Comparison, before: Scores, after: Scores) -> float:
    """Growth of a smoothed version of the comparison's difference, a sum over rows.

    sum_i s_i (sigma(m'_i / T) - sigma(m_i / T)), s_i = weight / weight of its cell, negative in the lower group; m and
    m' are the margins of the compared decision before and after, T a quarter of the usual |m|. A row counts as far as
    it moves near the boundary, and rows of other cells do not count: unlike the gap itself it can be told from few
    rows, and small effects show.
    """
    group = sample.groups[comparison.attribute]
    there = sample.label == comparison.label
    first, second = before.margin(comparison.choice), after.margin(comparison.choice)
    compared = there & ((group == comparison.high) | (group == comparison.low))
    width = max(NEAR * float(np.median(np.abs(first[compared]))), NARROWEST)
    moved = _sigmoid(second / width) - _sigmoid(first / width)
    high, low = (_mean(moved, sample.weight, there & (group == g)) for g in (comparison.high, comparison.low))
    return high - low


def effect(sample: Sample, before: Scores, after: Scores, comparison: Comparison | None) -> Effect:
    """How far the answers moved from `before` to `after`, cell by cell."""
    loss = after.loss(sample.label) - before.loss(sample.label)
    label = (np.arange(len(sample.label)), sample.label)
    rows = np.bincount(sample.cell, minlength=sample.cells)

    def mean(values: NDArray[np.floating]) -> Floats:
        total = np.bincount(sample.cell, values, sample.cells)
        found: Floats = np.divide(total, rows, out=np.full(sample.cells, np.nan), where=rows > 0)
        return found

    return Effect(
        rows=rows.astype(np.int64),
        loss=mean(loss),
        log_odds=mean(after.log_odds(sample.label) - before.log_odds(sample.label)),
        probability=mean(after.probability[label] - before.probability[label]),
        flips=mean((after.decision != before.decision).astype(np.float64)),
        worst_loss=_worst_loss(sample, after) - _worst_loss(sample, before),
        gap=None if comparison is None else gap_shift(sample, comparison, before, after),
    )


def rank_nodes(
    alone: Alone,
    full: onnx.ModelProto,
    reference: onnx.ModelProto,
    nodes: Sequence[str],
    answers: Answers,
    spec: ModelSpec,
    sample: Sample,
    *,
    tick: Callable[[int, int, str], None] = lambda _done, _total, _what: None,
) -> tuple[NodeEffect, ...]:
    """Layers by what low precision in them alone does to the worst group's loss and to the gap, most harm first.

    The two effects count alike, each relative to the largest one of any layer. In the compressed model itself, with one
    layer back in float, they tell less: where several layers are broken, fixing one of them fixes nothing, and errors
    that cancel each other make a broken layer look useful.

    Args:
        alone: makes the graph with that layer in low precision and all others in float.
        full: the compressed graph: its gap is what shall shrink.
        reference: the graph with all layers in float.
        answers: runs a graph on the sample's rows.

    Raises:
        ModelError: see `scores`.
    """
    comparison = widest_comparison(sample, scores(full, answers, spec))
    before = scores(reference, answers, spec)
    found = []
    for done, node in enumerate(nodes):
        tick(done, len(nodes), node)
        found.append((node, effect(sample, before, scores(alone(node), answers, spec), comparison)))
    return most_harm_first(found)


def most_harm_first(found: Sequence[tuple[str, Effect]]) -> tuple[NodeEffect, ...]:
    """By falling harm: the sum of the effects on the worst group's loss and on the gap, relative to the largest."""

    def relative(values: list[float]) -> Floats:
        array: Floats = np.array(values)
        largest = np.abs(array).max(initial=0.0)
        return array / largest if largest > 0 else array

    harm = relative([item.worst_loss for _, item in found]) + relative([item.gap or 0.0 for _, item in found])
    ranked = np.argsort(-harm, kind="stable").tolist()
    return tuple(NodeEffect(found[index][0], found[index][1], float(harm[index])) for index in ranked)


def _worst_loss(sample: Sample, found: Scores) -> float:
    loss = found.loss(sample.label)
    return max(
        _mean(loss, sample.weight, group == g) for group in sample.groups.values() for g in np.unique(group).tolist()
    )


def _mean(values: Floats, weight: Floats, where: NDArray[np.bool_]) -> float:
    """Weighted mean of some rows."""
    return float(np.average(values[where], weights=weight[where]))


def _sigmoid(x: Floats) -> Floats:
    found: Floats = np.exp(-np.logaddexp(0.0, -x))
    return found
