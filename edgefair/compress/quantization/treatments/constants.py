"""Weights and biases of a graph that gets others."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgefair.graphs.names import Names


class Constants:
    """A copy of a graph, of which single nodes get constants of their own.

    Attributes:
        model: the copy; whole once `finish` was called.
        nodes: by name.
    """

    def __init__(self, prepared: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(prepared)
        self.nodes = {node.name: node for node in self.model.graph.node}
        self._names = Names.of(prepared)
        self._values = {item.name: item for item in self.model.graph.initializer}
        self._own: set[str] = set()

    def has(self, node: str, place: int) -> bool:
        """Whether an input of a node is a constant."""
        read = self.nodes[node].input
        return place < len(read) and read[place] in self._values

    def of(self, node: str, place: int) -> NDArray[np.float32]:
        """The constant that a node reads in this place."""
        return numpy_helper.to_array(self._values[self.nodes[node].input[place]])

    def put(self, node: str, place: int, value: NDArray[np.floating]) -> None:
        """Give a node another constant; whoever else reads the old one keeps it."""
        name = self.nodes[node].input[place]
        if name not in self._own:
            name = self._names.fresh(f"{name}/treated")
            self._own.add(name)
            self._values[name] = self.model.graph.initializer.add()
            self.nodes[node].input[place] = name
        self._values[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))

    def finish(self) -> onnx.ModelProto:
        """The graph, without constants that nothing reads any more."""
        graph = self.model.graph
        read = {name for node in graph.node for name in node.input} | {item.name for item in graph.output}
        kept = [item for item in graph.initializer if item.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        return self.model
