"""What pruning a layer would do, without pruning it: its weakest output channels give zero."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edgefair.compress.quantization.prepare import quantizable_nodes, weight_name
from edgefair.compress.quantization.weights import channel_axis
from edgefair.errors import ModelError
from edgefair.graphs.names import Names


def prunable_nodes(prepared: onnx.ModelProto) -> tuple[str, ...]:
    """Linear layers that can lose channels: all but the last, whose outputs are the classes."""
    return quantizable_nodes(prepared)[:-1]


def without_weak_channels(prepared: onnx.ModelProto, name: str, share: float) -> onnx.ModelProto:
    """The graph in which the output channels of one layer with the smallest |w|_2 give zero, their bias too.

    The shape stays, so this shows what is lost and not what is gained.

    Args:
        prepared: a graph of `prepare_graph`.
        name: one of `prunable_nodes`.
        share: of the channels, between 0 and 1; at least one stays.

    Raises:
        ModelError: no such layer.
    """
    model = onnx.ModelProto()
    model.CopyFrom(prepared)
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    node = next((item for item in graph.node if item.name == name), None)
    if node is None or weight_name(node) not in constants:
        raise ModelError(f"the graph has no layer '{name}' with a constant weight")
    weight = numpy_helper.to_array(constants[weight_name(node)])
    axis = channel_axis(node, weight.ndim)
    channels = weight.shape[axis]
    norm = np.linalg.norm(np.moveaxis(weight, axis, 0).reshape(channels, -1), axis=1)
    weak = np.argsort(norm, kind="stable")[: min(channels - 1, round(share * channels))]
    _zero(model, node, 1, weak, axis)
    if len(node.input) > 2:
        _zero(model, node, 2, weak, -1)
    following = [item for item in graph.node if node.output[0] in item.input]
    if node.op_type == "MatMul" and len(following) == 1 and following[0].op_type == "Add":
        _zero(model, following[0], list(following[0].input).index(node.output[0]) ^ 1, weak, -1)
    return model


def _zero(model: onnx.ModelProto, node: onnx.NodeProto, index: int, weak: np.ndarray, axis: int) -> None:
    """Zeros for these channels of a constant input, for this node only; other inputs stay as they are."""
    constant = next((item for item in model.graph.initializer if item.name == node.input[index]), None)
    if constant is None:
        return
    value = numpy_helper.to_array(constant).copy()
    if not value.ndim or weak.max(initial=0) >= value.shape[axis]:
        return
    np.moveaxis(value, axis, 0)[weak] = 0
    name = Names.of(model).fresh(f"{node.name}/{index}/pruned")
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    node.input[index] = name
