"""Names out of the way of onnxruntime's quantizer, which makes new ones of old ones whether they are free or not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

import onnx

from edgefair.graphs.names import Names

# What it puts behind the name of a value, to name a value, and of a value or a layer, to name a node.
ENDING = re.compile(
    "_(quantized|scale|zero_point|QuantizeLinear|DequantizeLinear|Transposed|MatMul|output_quantized)(_|$)"
)
NODE_ENDING = re.compile("_(MatMul|Add|Transpose|quant|cast|output_quantized_cast|QuantizeLinear)(_|$)")


def clear_stems(model: onnx.ModelProto, layers: Set[str]) -> dict[str, str]:
    """Rename, in place, every value with whose name and such an ending another name begins; new name -> old name.

    Nodes that have what could become the name of another get one of their own, but for layers: these change theirs.

    Args:
        layers: names of the nodes that the quantizer turns into others.
    """
    values = {name for node in model.graph.node for name in (*node.input, *node.output) if name}
    stems = {name[: found.start()] for name in values for found in ENDING.finditer(name)}
    names = Names.of(model)
    renamed = {name: names.numbered(f"{name}_renamed") for name in sorted(values & stems)}
    for node in model.graph.node:
        made = {node.name[: found.start()] for found in NODE_ENDING.finditer(node.name)}
        if node.name not in layers and made & (values | layers):
            node.name = names.numbered(f"{node.op_type}_renamed")
    rename_values(model, renamed)
    return {new: old for old, new in renamed.items()}


def rename_values(model: onnx.ModelProto, table: Mapping[str, str]) -> None:
    """Give values other names in place, wherever the graph has them."""
    graph = model.graph
    for node in graph.node:
        node.input[:] = [table.get(name, name) for name in node.input]
        node.output[:] = [table.get(name, name) for name in node.output]
    named: list[Any] = [*graph.input, *graph.output, *graph.initializer, *graph.value_info]
    for item in named:
        item.name = table.get(item.name, item.name)
