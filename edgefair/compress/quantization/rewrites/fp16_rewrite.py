"""Some nodes of a graph in FP16, the rest as it was, and a Cast wherever the two meet."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgefair.graphs.names import Names


class Conversion:
    """Rewrites the nodes in order, with a Cast wherever a value is needed in the other type.

    Args:
        types: element type of every value.
        names: of the model whose graph it is.
        narrow: by position, of every node that becomes FP16, the inputs that it takes as FP16.
    """

    def __init__(
        self, graph: onnx.GraphProto, types: dict[str, int], narrow: dict[int, frozenset[int]], names: Names
    ) -> None:
        self._graph = graph
        self._types = types
        self._narrow = narrow
        overridable = {item.name for item in graph.input}
        self._weights = {item.name: item for item in graph.initializer if item.name not in overridable}
        self._nodes: list[NodeProto] = []
        self._names = names
        # Names under which a value is there in FP16 and in FP32. What is in neither is as it always was.
        self._as_fp16: dict[str, str] = {}
        self._as_float: dict[str, str] = {}

    def rewrite(self) -> None:
        """Change the graph in place."""
        outputs = {item.name for item in self._graph.output}
        for position, node in enumerate(self._graph.node):
            taken = self._narrow.get(position, frozenset())
            for index, name in enumerate(node.input):
                node.input[index] = self._in_fp16(name) if index in taken else self._in_float(name)
            self._nodes.append(node)
            if position in self._narrow:
                self._give_fp16(node, outputs)
        used = {name for node in self._nodes for name in node.input} | outputs
        weights = [item for item in self._graph.initializer if item.name in used]
        del self._graph.node[:], self._graph.initializer[:], self._graph.value_info[:]
        self._graph.node.extend(self._nodes)
        self._graph.initializer.extend(weights)

    def _give_fp16(self, node: NodeProto, outputs: Collection[str]) -> None:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
        for index, name in enumerate(node.output):
            if self._types.get(name) != TensorProto.FLOAT:
                continue
            self._as_fp16[name] = name
            if name in outputs:
                made = node.output[index] = self._as_fp16[name] = self._names.fresh(f"{name}_half")
                self._nodes.append(
                    helper.make_node("Cast", [made], [name], self._names.fresh(f"{made}_out"), to=TensorProto.FLOAT)
                )
                self._as_float[name] = name

    def _in_fp16(self, name: str) -> str:
        if name not in self._as_fp16:
            made = self._as_fp16[name] = self._names.fresh(f"{name}_half")
            weight = self._weights.get(name)
            if weight is None:
                self._nodes.append(helper.make_node("Cast", [name], [made], made, to=TensorProto.FLOAT16))
            else:
                value = numpy_helper.to_array(weight).astype(np.float16)
                self._graph.initializer.append(numpy_helper.from_array(value, made))
        return self._as_fp16[name]

    def _in_float(self, name: str) -> str:
        narrow = self._as_fp16.get(name)
        if narrow is None or name in self._weights or narrow != name:
            return self._as_float.get(name, name)
        if name not in self._as_float:
            made = self._as_float[name] = self._names.fresh(f"{name}_float")
            self._nodes.append(helper.make_node("Cast", [narrow], [made], made, to=TensorProto.FLOAT))
        return self._as_float[name]
