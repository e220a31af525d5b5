"""Other outputs for an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx


def set_outputs(model: onnx.ModelProto, outputs: Sequence[onnx.ValueInfoProto]) -> None:
    """Replace the outputs and drop what no output needs."""
    graph = model.graph
    del graph.output[:]
    graph.output.extend(outputs)
    needed = {item.name for item in outputs}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    kept.reverse()
    constants = [item for item in graph.initializer if item.name in needed]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(constants)


def exposed(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """A copy that gives some values as its only outputs, which no optimizer fuses away.

    All else stays: what an optimizer fuses, and so how it rounds, depends on it.
    """
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return shown
