"""Nodes of a graph that the kernels of a target are known not to compute, or to compute wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

from edgefair.graphs.types import element_types
from edgefair.targets.support import Support

OWN = frozenset({"", "ai.onnx"})
QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True)
class Unsupported:
    """A node, or an input of the graph, that a target cannot have.

    Attributes:
        name: of the node, or of what it gives where it has none; of the input.
        what: its operator, or `input`.
        why: in words that follow its name.
    """

    name: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} '{self.name}' {self.why}"


def unsupported(model: onnx.ModelProto, support: Support) -> tuple[Unsupported, ...]:
    """What of a graph kernels do not take, in the order of the graph; of branches and loops, these nodes alone.

    A type that cannot be inferred is not held against a node.
    """
    kinds = {name: type_name(kind) for name, kind in element_types(model).items()}
    constant = {item.name: item for item in model.graph.initializer}
    found = list(_open_inputs(model.graph)) if support.fixed else []
    for node in model.graph.node:
        why = next(_reasons(node, kinds, constant, support), None)
        if why is not None:
            found.append(Unsupported(node.name or node.output[0], node.op_type, why))
    return tuple(found)


def type_name(kind: int) -> str:
    """The name of an element type, as `Support` has it."""
    return str(onnx.TensorProto.DataType.Name(kind)).lower()


def _open_inputs(graph: onnx.GraphProto) -> Iterator[Unsupported]:
    for item in graph.input:
        dims = item.type.tensor_type.shape.dim
        if any(not dim.HasField("dim_value") for dim in dims[1:]):
            yield Unsupported(item.name, "input", "leaves a size open beside its rows")


def _reasons(
    node: onnx.NodeProto, kinds: dict[str, str], constant: dict[str, onnx.TensorProto], support: Support
) -> Iterator[str]:
    """Why a node is not taken, in words."""
    own = node.domain in OWN
    absent = support.only is not None and node.op_type not in support.only
    if node.domain in support.domains or node.op_type in support.lacks or (own and absent):
        yield "is not there"
    if node.op_type == "Cast":
        to = type_name(next(item.i for item in node.attribute if item.name == "to"))
        pair = kinds.get(node.input[0], ""), to
        if pair in support.wrong:
            yield f"from {pair[0]} to {pair[1]} {support.wrong[pair]}"
    if node.op_type in QUANTIZERS:
        yield from _quantizer(node, kinds, constant, support)
        return
    for name in node.input:
        readers = support.readers.get(kinds.get(name, ""))
        if readers is not None and node.op_type not in readers:
            yield f"reads '{name}', which is {kinds[name]}"


def _quantizer(
    node: onnx.NodeProto, kinds: dict[str, str], constant: dict[str, onnx.TensorProto], support: Support
) -> Iterator[str]:
    zero = constant.get(node.input[2]) if len(node.input) > 2 else None
    codes = kinds.get(node.input[0] if node.op_type == "DequantizeLinear" else node.output[0])
    codes = codes if zero is None else type_name(zero.data_type)
    if support.codes is not None and codes is not None and codes not in support.codes:
        yield f"has codes of {codes}"
    elif support.symmetric and zero is not None and numpy_helper.to_array(zero).any():
        yield "has a zero point that is not 0"
