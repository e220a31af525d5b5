"""Multiply-accumulate operations of the nodes of an ONNX graph."""

from __future__ import annotations

import math

import onnx

from edgefair.compress.quantization.prepare import quantizable_nodes, weight_name


def node_macs(prepared: onnx.ModelProto) -> dict[str, int]:
    """Of one row, for every quantizable node: outputs x weights behind each of them. Unknown sizes count as 1.

    Args:
        prepared: a graph of `prepare_graph`, which knows its shapes.
    """
    graph = prepared.graph
    shapes = {
        item.name: [dim.dim_value or 1 for dim in item.type.tensor_type.shape.dim]
        for item in (*graph.value_info, *graph.output, *graph.input)
    }
    weights = {item.name: list(item.dims) for item in graph.initializer}
    wanted = set(quantizable_nodes(prepared))
    found = {}
    for node in graph.node:
        if node.name in wanted:
            output = shapes.get(node.output[0], [1])
            weight = weights[weight_name(node)]
            transposed = any(item.name == "transB" and item.i for item in node.attribute)
            behind = math.prod(weight[1:]) if node.op_type == "Conv" else weight[-1 if transposed else -2]
            found[node.name] = math.prod(output[1:]) * behind
    return found
