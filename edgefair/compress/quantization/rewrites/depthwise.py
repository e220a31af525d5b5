"""Depthwise blocks with as many channels as integer kernels take at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

from edgefair.graphs.names import Names
from edgefair.graphs.producers import producers, readers

# Channels that a depthwise kernel computes at once; the rest of a row is computed one by one (onnxruntime 1.32, AVX512:
# 3x3 on 72 channels of 56 pixels takes 0.30 ms, on 80 channels 0.10 ms).
AT_ONCE = 16
# From so many channels on: fewer would become more than a quarter more.
LEAST = 49
# Give every channel by itself.
APART = frozenset(
    {"Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu", "Mul", "Add", "GlobalAveragePool", "MaxPool"}
)


@dataclass
class _Block:
    """Values of the same channels, the nodes that give them, and the convolutions that read them."""

    values: set[str] = field(default_factory=set)
    inner: list[onnx.NodeProto] = field(default_factory=list)
    given_by: list[onnx.NodeProto] = field(default_factory=list)
    read_by: list[onnx.NodeProto] = field(default_factory=list)


def widen_depthwise(model: onnx.ModelProto) -> None:
    """Add channels of zeros to blocks with a depthwise convolution up to a multiple of AT_ONCE, in place.

    The convolutions that give these channels get rows of zeros, those that read them columns of zeros, so nothing else
    changes. A block that ends in anything but convolutions, or whose weights others read, stays.
    """
    names = Names.of(model)
    done: set[str] = set()
    for node in list(model.graph.node):
        weights = {item.name: item for item in model.graph.initializer}
        channels = _depthwise(node, weights)
        if channels < LEAST or channels % AT_ONCE == 0 or node.output[0] in done:
            continue
        block = _block(model.graph, node, weights, channels)
        if block is not None:
            done |= block.values
            _widen(model, block, weights, -channels % AT_ONCE, names)


def _depthwise(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]) -> int:
    """The channels of a depthwise convolution of pictures; 0 for any other node."""
    if node.op_type != "Conv" or node.input[1] not in weights or (len(node.input) > 2 and node.input[2] not in weights):
        return 0
    dims = weights[node.input[1]].dims
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    return int(groups) if len(dims) == 4 and dims[1] == 1 and dims[0] == groups > 1 else 0


def _block(
    graph: onnx.GraphProto, start: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto], channels: int
) -> _Block | None:
    """What has the channels of a depthwise convolution; None where some of it cannot get more."""
    made_by, read_by = producers(graph.node), readers(graph.node)
    ends = {item.name for item in (*graph.input, *graph.output)}
    block, waiting = _Block(), [start.input[0], start.output[0]]
    while waiting:
        value = waiting.pop()
        if value in block.values:
            continue
        if value in ends or value not in made_by:
            return None
        block.values.add(value)
        for node in (made_by[value], *read_by[value]):
            if any(node is item for item in (*block.inner, *block.given_by, *block.read_by)):
                continue
            if _depthwise(node, weights) == channels:
                block.inner.append(node)
                waiting += [node.input[0], node.output[0]]
            elif _whole(node, weights):
                (block.given_by if node.output[0] == value else block.read_by).append(node)
            elif node.op_type in APART and (node.op_type == "Clip" or not set(node.input) & weights.keys()):
                block.inner.append(node)
                waiting += [node.output[0], *(node.input[:1] if node.op_type == "Clip" else node.input)]
            else:
                return None
    both = {id(node) for node in block.given_by} & {id(node) for node in block.read_by}
    return None if both or not block.given_by else block


def _whole(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether a node is a convolution of one group with constant weights."""
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    return node.op_type == "Conv" and groups == 1 and all(name in weights for name in node.input[1:])


def _widen(
    model: onnx.ModelProto, block: _Block, weights: Mapping[str, onnx.TensorProto], more: int, names: Names
) -> None:
    """Write the weights of a block with `more` channels."""

    def padded(node: onnx.NodeProto, index: int, axis: int) -> None:
        value = numpy_helper.to_array(weights[node.input[index]])
        around = [(0, more if side == axis else 0) for side in range(value.ndim)]
        given = names.fresh(f"{node.input[index]}/wide")
        model.graph.initializer.append(numpy_helper.from_array(np.pad(value, around), given))
        node.input[index] = given

    for node in block.inner:
        if node.op_type == "Conv":
            for index in range(1, len(node.input)):
                padded(node, index, 0)
            for option in node.attribute:
                if option.name == "group":
                    option.i += more
    for node in block.given_by:
        for index in range(1, len(node.input)):
            padded(node, index, 0)
    for node in block.read_by:
        padded(node, 1, 1)
    for item in model.graph.value_info:
        dims = item.type.tensor_type.shape.dim
        if item.name in block.values and len(dims) > 1 and dims[1].dim_value:
            dims[1].dim_value += more
    _drop_unread(model.graph)


def _drop_unread(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {item.name for item in graph.output}
    kept: Iterable[onnx.TensorProto] = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
