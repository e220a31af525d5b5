"""What every layer costs on the target, before and after compression."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import onnx

# What onnxruntime makes of a node's name, or of the name of its output, when it fuses and lays out anew.
_FUSED = re.compile(r"^fused |(_nchwc|_quant|_token_\d+)+$")
# Nodes behind a layer that may be fused into it.
BEHIND = 2


def layer_times(graph: onnx.GraphProto, times: Mapping[str, float], layers: Sequence[str]) -> dict[str, float]:
    """Microseconds of the layers that the runtime's names tell, by the layer's name; others are absent.

    A fused node has the name of one of its nodes, or of what it gives.

    Args:
        times: of the runtime's nodes, by its own names.
    """
    by_name: dict[str, float] = {}
    for name, time in times.items():
        known = _FUSED.sub("", name)
        by_name[known] = by_name.get(known, 0.0) + time
    nodes = {node.name: node for node in graph.node}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for value in node.input:
            users.setdefault(value, []).append(node)
    found = {}
    for layer in nodes.keys() & set(layers):
        told = next((by_name[name] for name in _names(nodes[layer], users, layers) if name in by_name), None)
        if told is not None:
            found[layer] = told
    return found


def _names(
    layer: onnx.NodeProto, users: Mapping[str, Sequence[onnx.NodeProto]], layers: Sequence[str]
) -> Iterator[str]:
    """Of the layer, of what it gives, and of what alone follows it and is no layer."""
    node = layer
    for _ in range(BEHIND + 1):
        yield from (node.name, *node.output)
        behind = users.get(node.output[0], ())
        if len(behind) != 1 or behind[0].name in layers:
            return
        node = behind[0]
