"""Who gives and who reads the values of an ONNX graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set

import onnx


def producers(nodes: Iterable[onnx.NodeProto]) -> dict[str, onnx.NodeProto]:
    """Value -> the node that gives it; inputs and constants of the graph are given by none."""
    return {name: node for node in nodes for name in node.output}


def readers(nodes: Iterable[onnx.NodeProto]) -> defaultdict[str, list[onnx.NodeProto]]:
    """Value -> the nodes that read it, each once, in graph order; of a value that is never read, none."""
    found: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in nodes:
        for name in dict.fromkeys(node.input):
            found[name].append(node)
    return found


def producer(
    made_by: Mapping[str, onnx.NodeProto], name: str, *, through: Set[str] = frozenset()
) -> onnx.NodeProto | None:
    """The node that a value comes from, some operators looked through; None for an input or a constant."""
    node = made_by.get(name)
    while node is not None and node.op_type in through:
        node = made_by.get(node.input[0])
    return node


def decoder(made_by: Mapping[str, onnx.NodeProto], name: str) -> onnx.NodeProto | None:
    """The DequantizeLinear that gives a value; None where something else does."""
    node = made_by.get(name)
    return node if node is not None and node.op_type == "DequantizeLinear" else None
