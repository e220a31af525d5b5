"""Gemm nodes without factors: alpha and beta as part of their constants."""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from edgefair.graphs.names import Names

# Attribute -> the input that it scales.
SCALED = {"alpha": 1, "beta": 2}


def without_factors(model: onnx.ModelProto) -> None:
    """alpha A B + beta C -> A (alpha B) + (beta C), in place, where B and C are constant.

    onnxruntime quantizes the bias of a Gemm between codes by itself, in steps that may be coarse, unless it has codes
    already; and codes of a bias that is scaled afterwards would have other steps than its kernels take.
    """
    names = Names.of(model)
    constants = {item.name: item for item in model.graph.initializer}
    replaced: set[str] = set()
    for node in model.graph.node:
        factors = {item.name: item.f for item in node.attribute if item.name in SCALED and item.f != 1}
        scaled = {SCALED[name]: factor for name, factor in factors.items() if SCALED[name] < len(node.input)}
        if node.op_type != "Gemm" or not factors or not all(node.input[index] in constants for index in scaled):
            continue
        for index, factor in scaled.items():
            value = numpy_helper.to_array(constants[node.input[index]])
            made = names.fresh(f"{node.input[index]}/scaled")
            model.graph.initializer.append(numpy_helper.from_array((value * factor).astype(value.dtype), made))
            replaced.add(node.input[index])
            node.input[index] = made
        kept = [item for item in node.attribute if item.name not in SCALED]
        del node.attribute[:]
        node.attribute.extend(kept)
    read = {name for node in model.graph.node for name in node.input} | {item.name for item in model.graph.output}
    for name in sorted(replaced - read):
        model.graph.initializer.remove(constants[name])
