"""Which type the values of an ONNX graph have."""

from __future__ import annotations

import onnx


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Value of the graph -> its element type, a number of `onnx.TensorProto`; what cannot be inferred is left out."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    types = {item.name: item.type.tensor_type.elem_type for item in values}
    types |= {item.name: item.data_type for item in graph.initializer}
    return {name: kind for name, kind in types.items() if kind}
