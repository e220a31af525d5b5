"""Inner values of a graph that can be looked at without changing what an optimizer fuses, and the layers between."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import onnx
from onnx import TensorProto

from edgefair.graphs.producers import producers, readers
from edgefair.graphs.quantized import is_quantized

# What runtimes compute in one kernel with the node before, whose own output is then never made.
FUSED_WITH_BEFORE = frozenset(
    {"BatchNormalization", "Clip", "HardSigmoid", "HardSwish", "LeakyRelu", "QuantizeLinear", "Relu", "Sigmoid", "Tanh"}
)
READABLE = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.DOUBLE,
        TensorProto.UINT8,
        TensorProto.INT8,
        TensorProto.UINT16,
        TensorProto.INT16,
    }
)
# Parts of the names of operators, quantized ones too, that hold a matrix of weights or a table.
LAYERS = ("Conv", "Gather", "Gemm", "GRU", "LSTM", "MatMul", "RNN")
# Behind the name of a weight in `compress.quantization.qdq`.
CODES = "/codes"
ROWS = "rows"


class Boundaries:
    """The values between layers, each an array of rows.

    Of a layer between quantized values that is the code it writes: its own float output exists in no fused kernel.

    Args:
        outputs: names of the outputs that the decision is read from. None stands for these wherever a value is asked
            for.

    Attributes:
        model: the graph.
        values: their names, in topological order.
    """

    def __init__(self, model: onnx.ModelProto, outputs: Sequence[str]) -> None:
        self.model = model
        self._outputs = tuple(outputs)
        self._given = {item.name for item in model.graph.output}
        self._made_by = producers(model.graph.node)
        self._readers = readers(model.graph.node)
        self._constants = {item.name: item for item in model.graph.initializer}
        self._infos = _arrays_of_rows(model)
        self._moving = {item.name for item in model.graph.input} - self._constants.keys()
        for node in model.graph.node:
            if self._moving & set(_reads(node)):
                self._moving |= set(node.output)
        self.values = tuple(name for node in model.graph.node for name in node.output if self._is_boundary(node, name))

    def before(self, value: str | None) -> tuple[str, ...]:
        """All boundaries that a value depends on, in topological order."""
        _, nodes = self.back(value, ())
        found = {name for node in nodes for name in node.output} - {value}
        return tuple(name for name in self.values if name in found)

    def back(self, value: str | None, stops: Collection[str]) -> tuple[tuple[str, ...], tuple[onnx.NodeProto, ...]]:
        """The nearest of some values that a value is computed from, and the nodes from there on, last ones first."""
        waiting = list(self._outputs) if value is None else [value]
        seen, parents = set(waiting), []
        nodes: dict[int, onnx.NodeProto] = {}
        while waiting:
            name = waiting.pop(0)
            if name in stops and name != value:
                parents.append(name)
                continue
            node = self._made_by.get(name)
            if node is None or name not in self._moving:
                continue
            nodes[id(node)] = node
            fresh = [item for item in dict.fromkeys(_reads(node)) if item and item not in seen]
            seen |= set(fresh)
            waiting += fresh
        return tuple(parents), tuple(nodes.values())

    def coded(self, value: str) -> bool:
        """Whether a value is computed from codes of few bits."""
        return any(is_quantized(node) for node in self.back(value, ())[1])

    def weight(self, node: onnx.NodeProto) -> str | None:
        """The constant that a layer multiplies by or looks up in; None of a node that is no such layer."""
        for name in node.input if any(part in node.op_type for part in LAYERS) else ():
            held = None if name in self._moving else self._constants.get(self._origin(name))
            if held is not None and len(held.dims) > 1:
                return str(held.name).removesuffix(CODES)
        return None

    def shown(self, value: str | None) -> onnx.ModelProto:
        """The graph with a value as one output more."""
        if value is None or value in self._given:
            return self.model
        made = onnx.ModelProto()
        made.CopyFrom(self.model)
        made.graph.output.append(self._infos[value])
        return made

    def _origin(self, name: str) -> str:
        """The initializer that a constant is decoded or reordered from."""
        while (node := self._made_by.get(name)) is not None and node.input:
            name = node.input[0]
        return name

    def _is_boundary(self, node: onnx.NodeProto, name: str) -> bool:
        if name not in self._moving or name not in self._infos or node.op_type == "DequantizeLinear":
            return False
        following = [] if name in self._given else self._readers[name]
        encoded = bool(following) and all(item.op_type == "QuantizeLinear" for item in following)
        return not encoded and not (len(following) == 1 and following[0].op_type in FUSED_WITH_BEFORE)


def _arrays_of_rows(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """The values whose first dimension is known to be the inputs' rows, and that hold numbers or codes."""
    named = onnx.ModelProto()
    named.CopyFrom(model)
    for item in named.graph.input:
        dims = item.type.tensor_type.shape.dim
        if dims and not dims[0].dim_param and not dims[0].dim_value:
            dims[0].dim_param = ROWS
    rows = {_first(item) for item in named.graph.input} - {None}
    try:
        graph = onnx.shape_inference.infer_shapes(named).graph
    except onnx.shape_inference.InferenceError:
        graph = named.graph
    return {
        item.name: item
        for item in (*graph.value_info, *graph.output)
        if item.type.tensor_type.elem_type in READABLE and _first(item) in rows
    }


def _first(item: onnx.ValueInfoProto) -> str | int | None:
    dims = item.type.tensor_type.shape.dim
    return (dims[0].dim_param or dims[0].dim_value or None) if dims else None


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, those in its branches and loops too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            for inner in graph.node:
                yield from _reads(inner)
