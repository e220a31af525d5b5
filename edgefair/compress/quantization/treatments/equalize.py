"""Cross-layer equalization: channels of an activation that share one scale get one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.quantization.calibrate import Batch, Runner
from edgefair.compress.quantization.placement import CLAMPS, Graph
from edgefair.compress.quantization.prepare import weight_name
from edgefair.compress.quantization.treatments.constants import Constants

Floats = NDArray[np.float64]

# A channel is scaled as if rows that nobody has seen were larger than the largest one by this factor, at least.
MARGIN = 1.25
# No channel is scaled by more.
MOST = 64.0


@dataclass(frozen=True)
class Pair:
    """Two layers, the second of which alone reads what the first one gives.

    Attributes:
        first, second: names of the nodes.
        value: what the first one gives.
        ceiling: upper limit of the clamp between them; inf of a ReLU or where there is none.
        clamped: whether there is one.
    """

    first: str
    second: str
    value: str
    ceiling: float
    clamped: bool


def equalize(prepared: onnx.ModelProto, batches: Iterable[Batch], *, per_channel: bool = True) -> onnx.ModelProto:
    """The graph with the channels between two layers scaled, s_i down in the first and up in the second.

    A clamp f between them keeps f(x / s) = f(x) / s: a ReLU for every s > 0; a ReLU6 only in channels that stay below 6
    before and after (with a MARGIN), so in others s_i = 1. s_i = sqrt(a_i / w_i), where a_i is the largest activation
    of a channel on the rows and w_i the largest weight that reads it (Nagel et al., "Data-free quantization through
    weight equalization and bias correction", ICCV 2019, with what rows show in place of the first layer's weights,
    which have a scale for each channel). The weights of a depthwise layer have one as well: before it s_i = a_i / max
    a. Then what a channel never falls below is moved into the second layer's bias (bias absorption), where that has no
    padding.

    On these rows the outputs are the same up to rounding; elsewhere wherever no channel goes beyond what they showed by
    the margin.

    Args:
        prepared: a graph of `prepare_graph`.
        batches: graph inputs.
        per_channel: whether each output channel of a weight has a scale.

    Raises:
        ModelError: the graph cannot be run.
    """
    pairs = list(pairs_of(prepared))
    if not pairs:
        return prepared
    constants, seen = Constants(prepared), _extremes(prepared, [item.value for item in pairs], batches)
    for pair in pairs:
        if pair.value not in seen:
            continue
        low, high = seen[pair.value]
        scale = _scale(constants, pair, low, high, per_channel=per_channel)
        _scale_outputs(constants, pair.first, scale)
        _scale_inputs(constants, pair.second, scale)
        _absorb(constants, pair, low / scale, high / scale)
    return constants.finish()


def pairs_of(prepared: onnx.ModelProto) -> Iterator[Pair]:
    """Every pair of the graph, in its order."""
    graph = Graph(prepared)
    readers = {name: list(found) for name, found in graph.readers.items()}
    weights = [weight_name(node) for node in graph.nodes if node.name in graph.layers]
    for first in graph.nodes:
        if first.name not in graph.layers or not _has_channels(first) or weights.count(weight_name(first)) > 1:
            continue
        value, ceiling, clamped = first.output[0], np.inf, False
        following = readers.get(value, [])
        if value not in graph.outputs and len(following) == 1 and following[0].op_type in CLAMPS:
            low, ceiling = graph.limits(following[0].output[0])
            if low != 0 or not ceiling > 0:
                continue
            value, clamped = following[0].output[0], True
            following = readers.get(value, [])
        if value in graph.outputs or len(following) != 1:
            continue
        second = following[0]
        if second.name in graph.layers and second.op_type == first.op_type and _has_channels(second):
            yield Pair(first.name, second.name, first.output[0], float(ceiling), clamped)


def _has_channels(node: onnx.NodeProto) -> bool:
    """Whether axis 1 of what a layer reads and gives are its channels."""
    return node.op_type != "MatMul" and not any(item.name == "transA" and item.i for item in node.attribute)


def _extremes(
    prepared: onnx.ModelProto, values: list[str], batches: Iterable[Batch]
) -> dict[str, tuple[Floats, Floats]]:
    """Smallest and largest number of every channel."""
    found: dict[str, tuple[Floats, Floats]] = {}
    for _, given in Runner(prepared, values).values(batches):
        for name, value in zip(values, given, strict=True):
            if not value.size:
                continue
            others = tuple(axis for axis in range(value.ndim) if axis != 1)
            low, high = value.min(axis=others).astype(np.float64), value.max(axis=others).astype(np.float64)
            before = found.get(name, (low, high))
            found[name] = np.minimum(before[0], low), np.maximum(before[1], high)
    return found


def _scale(constants: Constants, pair: Pair, low: Floats, high: Floats, *, per_channel: bool) -> Floats:
    """s of every channel; 1 where it is dead, or not free of its clamp."""
    size = np.clip(high, 0, pair.ceiling) if pair.clamped else np.maximum(np.abs(low), np.abs(high))
    free = (size > 0) & (high * MARGIN < pair.ceiling)
    reads = _largest_reader(constants, pair.second)
    free &= reads > 0
    if not free.any():
        return np.ones_like(size)
    alone = per_channel and _is_depthwise(constants, pair.second)
    wanted = size if alone else np.sqrt(size / np.where(reads > 0, reads, 1))
    wanted = np.where(free, wanted, 1.0)
    # The largest activation keeps its size: what others are compared with.
    wanted = wanted * (size[free] / wanted[free]).max() / size.max()
    limits = np.full_like(size, 1 / MOST)
    if np.isfinite(pair.ceiling):
        limits = np.maximum(limits, high * MARGIN / pair.ceiling)
    scale: Floats = np.where(free, np.clip(wanted, limits, MOST), 1.0)
    return scale


def _grouped(constants: Constants, node: str) -> tuple[NDArray[np.float32], int]:
    """A weight as [groups, outputs of one, inputs of one, ...], and how many groups."""
    weight, operator = constants.of(node, 1), constants.nodes[node]
    options = {item.name: item.i for item in operator.attribute}
    if operator.op_type == "Gemm":
        return (weight if options.get("transB") else weight.T)[None], 1
    groups = options.get("group", 1)
    return weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:]), groups


def _ungrouped(constants: Constants, node: str, weight: NDArray[Any]) -> NDArray[Any]:
    """The weight as the node reads it."""
    operator = constants.nodes[node]
    if operator.op_type == "Gemm":
        transposed = any(item.name == "transB" and item.i for item in operator.attribute)
        single: NDArray[Any] = weight[0] if transposed else weight[0].T
        return single
    return weight.reshape(-1, *weight.shape[2:])


def _largest_reader(constants: Constants, node: str) -> Floats:
    """The largest weight by which every input channel is read."""
    weight, _ = _grouped(constants, node)
    largest: Floats = np.abs(weight).max(axis=(1, *range(3, weight.ndim))).reshape(-1).astype(np.float64)
    return largest


def _is_depthwise(constants: Constants, node: str) -> bool:
    weight, groups = _grouped(constants, node)
    return groups > 1 and weight.shape[2] == 1


def _scale_outputs(constants: Constants, node: str, scale: Floats) -> None:
    weight, groups = _grouped(constants, node)
    by = scale.reshape(groups, -1, *[1] * (weight.ndim - 2))
    constants.put(node, 1, _ungrouped(constants, node, weight / by))
    if constants.has(node, 2):
        constants.put(node, 2, constants.of(node, 2) / scale)


def _scale_inputs(constants: Constants, node: str, scale: Floats) -> None:
    weight, groups = _grouped(constants, node)
    by = scale.reshape(groups, 1, -1, *[1] * (weight.ndim - 3))
    constants.put(node, 1, _ungrouped(constants, node, weight * by))


def _absorb(constants: Constants, pair: Pair, low: Floats, high: Floats) -> None:
    """What a channel never falls below goes into the second layer's bias."""
    second = constants.nodes[pair.second]
    pads = next((list(item.ints) for item in second.attribute if item.name == "pads"), [])
    auto = next((item.s for item in second.attribute if item.name == "auto_pad"), b"NOTSET")
    whole = constants.has(pair.first, 2) and constants.has(pair.second, 2)
    if not pair.clamped or not whole or any(pads) or auto not in {b"NOTSET", b"VALID"}:
        return
    # By as much as the rows spread may others lie lower.
    surplus = np.maximum(low - (MARGIN - 1) * (high - low), 0) * (high * MARGIN < pair.ceiling)
    if not surplus.any():
        return
    weight, groups = _grouped(constants, pair.second)
    moved = (weight.sum(axis=tuple(range(3, weight.ndim))) * surplus.reshape(groups, 1, -1)).sum(axis=2)
    constants.put(pair.first, 2, constants.of(pair.first, 2) - surplus)
    constants.put(pair.second, 2, constants.of(pair.second, 2) + moved.reshape(-1))
