"""Bytes that become floats by way of int32, because a runtime gets the direct way wrong."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from edgefair.graphs.names import Names
from edgefair.graphs.types import element_types


def byte_casts(model: onnx.ModelProto) -> tuple[onnx.NodeProto, ...]:
    """The graph's Cast nodes from uint8 to float."""
    casts = [
        node
        for node in model.graph.node
        if node.op_type == "Cast" and any(item.name == "to" and item.i == TensorProto.FLOAT for item in node.attribute)
    ]
    types = element_types(model) if casts else {}
    return tuple(node for node in casts if types.get(node.input[0]) == TensorProto.UINT8)


def widen_byte_casts(model: onnx.ModelProto) -> None:
    """Cast(uint8 -> float) becomes Cast(uint8 -> int32) and Cast(int32 -> float), in place; twice is as good as once.

    Every byte is the same float either way. Qualcomm's HTP makes 0 or 1 of it directly ([0 1 2 50 255] becomes
    [0 1 1 1 1]: seen with onnxruntime-qnn 2.7.0, htp_arch 73), and is right by way of int32. So are onnxruntime, which
    joins the two again on a CPU and takes no longer, and OpenVINO; TensorRT (for RTX, 1.7.1) builds it. It refuses the
    other way that is right elsewhere, a DequantizeLinear of uint8. Casts in branches, loops and functions stay.
    """
    found = {node.output[0] for node in byte_casts(model)}
    if not found:
        return
    names, wide, nodes = Names.of(model), dict[str, str](), list[onnx.NodeProto]()
    for node in model.graph.node:
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        if node.output[0] in found:
            name = node.input[0]
            if name not in wide:
                wide[name], called = names.fresh(f"{name}_int32"), names.fresh(f"{name}_widen")
                nodes.append(helper.make_node("Cast", [name], [wide[name]], called, to=TensorProto.INT32))
            copied.input[0] = wide[name]
        nodes.append(copied)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
