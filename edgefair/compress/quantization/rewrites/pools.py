"""Means over pictures, in the operator that has an integer kernel."""

from __future__ import annotations

import onnx
from onnx import helper, numpy_helper

SPATIAL = ([2, 3], [-2, -1], [3, 2], [-1, -2])


def write_global_pools(model: onnx.ModelProto) -> None:
    """ReduceMean over both sides of pictures -> GlobalAveragePool, in place.

    Both are the same mean; only the pool has an integer kernel (QLinearGlobalAveragePool).
    """
    constant = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    rank = {item.name: len(item.type.tensor_type.shape.dim) for item in (*model.graph.value_info, *model.graph.input)}
    for node in model.graph.node:
        if node.op_type != "ReduceMean" or rank.get(node.input[0]) != 4:
            continue
        options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        axes = options.get("axes") if len(node.input) < 2 else constant.get(node.input[1])
        if axes is not None and [int(axis) for axis in axes] in SPATIAL and options.get("keepdims", 1):
            node.op_type = "GlobalAveragePool"
            del node.attribute[:], node.input[1:]
