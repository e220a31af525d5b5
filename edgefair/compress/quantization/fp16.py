"""FP16: half-precision weights and arithmetic, between inputs, outputs and decisions that stay as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgefair.compress.quantization.rewrites.fp16_rewrite import Conversion
from edgefair.errors import ModelError
from edgefair.exporters.checked import checked_model
from edgefair.graphs.names import Names
from edgefair.graphs.quantized import is_quantized
from edgefair.graphs.types import element_types

# What is worth computing in half precision; the FP16 region lies between the first and the last of these.
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"})
# Their results are small whatever comes in, so an overflow ends here.
BOUNDED = frozenset({"Softmax", "Sigmoid", "HardSigmoid", "Tanh", "Erf", "Clip", "LayerNormalization"}) | PRODUCTS
NARROW: dict[int, str] = {TensorProto.FLOAT16: "FP16", TensorProto.BFLOAT16: "BF16"}
LARGEST = float(np.finfo(np.float16).max)
SMALLEST = float(np.finfo(np.float16).smallest_subnormal)


def to_float16(model: onnx.ModelProto, *, float_nodes: frozenset[str] = frozenset()) -> onnx.ModelProto:
    """FP32 graph -> the same graph with FP16 weights and arithmetic from its first to its last matrix product.

    What comes before (preprocessing) and after (softmax, threshold, decision) stays FP32, and so do the types of all
    inputs and outputs. Inside, a node stays FP32 where FP16 cannot hold what it computes: where one of its constants
    is beyond 65504 (the mask of an attention, up to the softmax that it feeds) or a scalar vanishes, and where ONNX
    defines the operator for FP32 only. The model that comes in is not changed.

    Args:
        model: a checked FP32 model.
        float_nodes: names of further nodes that stay FP32.

    Raises:
        ModelError: quantized or in FP16 already, with control flow, without a matrix product that can be in it, or
            without a node of a given name.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    _check(result, float_nodes)
    _constants_as_initializers(result.graph)
    types = _types(result)
    Conversion(result.graph, types, _fp16_inputs(result, types, float_nodes), Names.of(result)).rewrite()
    return checked_model(result)


def fp16_products(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the matrix products that `to_float16` computes in FP16, in graph order.

    Raises:
        ModelError: as `to_float16`.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    _check(result, frozenset())
    _constants_as_initializers(result.graph)
    narrow = _fp16_inputs(result, _types(result), frozenset())
    nodes = result.graph.node
    return tuple(nodes[position].name for position in sorted(narrow) if nodes[position].op_type in PRODUCTS)


def _check(model: onnx.ModelProto, float_nodes: frozenset[str]) -> None:
    for node in model.graph.node:
        if is_quantized(node):
            raise ModelError(
                f"the graph is already quantized ({node.op_type} '{node.name}')",
                expected="an FP32 model",
                fix="choose one of --int8 and --fp16",
            )
        if any(item.type in {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS} for item in node.attribute):
            raise ModelError(
                f"the graph has control flow ({node.op_type} '{node.name}'), which is not converted to FP16",
                expected="a graph without If, Loop and Scan",
            )
    unknown = float_nodes - {node.name for node in model.graph.node}
    if unknown:
        raise ModelError(f"the graph has no node '{min(unknown)}' to keep in FP32")


def _constants_as_initializers(graph: onnx.GraphProto) -> None:
    """Float Constant nodes, and Identity nodes that give a weight a second name, become initializers.

    Weights are then found in one place.
    """
    floats = {item.name for item in graph.initializer if item.data_type == TensorProto.FLOAT}
    floats -= {item.name for item in graph.input}
    outputs = {item.name for item in graph.output}
    names: dict[str, str] = {}
    kept = []
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        value = _float_constant(node)
        if value is not None:
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
            floats.add(node.output[0])
        elif node.op_type == "Identity" and node.input[0] in floats and node.output[0] not in outputs:
            names[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _float_constant(node: NodeProto) -> NDArray[np.float32] | None:
    if node.op_type != "Constant":
        return None
    value = helper.get_attribute_value(node.attribute[0])
    if node.attribute[0].name == "value" and value.data_type == TensorProto.FLOAT:
        return numpy_helper.to_array(value)
    if node.attribute[0].name in {"value_float", "value_floats"}:
        return np.array(value, dtype=np.float32)
    return None


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of every value.

    Raises:
        ModelError: a value is already in half precision, or its type is unknown.
    """
    types = element_types(model)
    for name, kind in types.items():
        if kind in NARROW:
            raise ModelError(f"the graph is already in half precision ('{name}' is {NARROW[kind]})", expected="FP32")
    for node in model.graph.node:
        for name in node.output:
            if name and name not in types:
                raise ModelError(f"the type of '{name}' ({node.op_type} '{node.name}') cannot be inferred")
    return types


def _fp16_inputs(
    model: onnx.ModelProto, types: dict[str, int], float_nodes: Collection[str]
) -> dict[int, frozenset[int]]:
    """Positions of the nodes that become FP16, each with the positions of the inputs that it takes as FP16.

    Raises:
        ModelError: there is none with a matrix product.
    """
    graph = model.graph
    opset = next((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), 1)
    fixed = {item.name for item in graph.input}
    weights = {
        item.name: numpy_helper.to_array(item)
        for item in graph.initializer
        if item.data_type == TensorProto.FLOAT and item.name not in fixed
    }
    kept = set(_beyond_fp16(graph, types, weights))
    narrow = {}
    for position in sorted(_between_products(graph, weights)):
        node = graph.node[position]
        taken = _taken_as_fp16(node, types, opset)
        if taken is not None and position not in kept and node.name not in float_nodes:
            narrow[position] = taken
    if not any(graph.node[position].op_type in PRODUCTS and taken for position, taken in narrow.items()):
        raise ModelError(
            "the graph has nothing to compute in FP16",
            expected=f"at least one of {', '.join(sorted(PRODUCTS))} in FP32",
            fix="omit --fp16",
        )
    return narrow


def _between_products(graph: onnx.GraphProto, weights: Collection[str]) -> set[int]:
    """Positions of the nodes on a way from a product, or from an embedding that leads to one, to a product."""
    reached: set[str] = set()
    after = set()
    for position, node in enumerate(graph.node):
        embeds = node.op_type == "Gather" and node.input[0] in weights
        if node.op_type in PRODUCTS or embeds or reached & set(node.input):
            after.add(position)
            reached |= set(node.output) - {""}
    leading: set[str] = set()
    before = set()
    for position, node in reversed(list(enumerate(graph.node))):
        if node.op_type in PRODUCTS or leading & set(node.output):
            before.add(position)
            leading |= set(node.input) - {""}
    return after & before


def _beyond_fp16(
    graph: onnx.GraphProto, types: dict[str, int], weights: dict[str, NDArray[np.float32]]
) -> Iterator[int]:
    """Positions of the nodes with numbers that FP16 cannot hold: constants, and what was computed from large ones."""
    large: set[str] = set()
    for position, node in enumerate(graph.node):
        constants = [weights[name] for name in node.input if name in weights]
        overflows = any((np.isfinite(value) & (np.abs(value) > LARGEST)).any() for value in constants)
        if node.op_type not in PRODUCTS:
            overflows = overflows or any(name in large for name in node.input)
            if any(value.size == 1 and 0 < abs(value.item()) < SMALLEST for value in constants):
                yield position
        if overflows:
            yield position
            if node.op_type not in BOUNDED:
                large |= {name for name in node.output if types.get(name) == TensorProto.FLOAT}


def _taken_as_fp16(node: NodeProto, types: dict[str, int], opset: int) -> frozenset[int] | None:
    """The inputs that the operator takes as FP16, by ONNX's own schema; None where its results cannot be FP16."""
    if node.domain not in {"", "ai.onnx"} or not onnx.defs.has(node.op_type, max_inclusive_version=opset):
        return None
    if any(item.name == "dtype" or item.type == onnx.AttributeProto.TENSOR for item in node.attribute):
        return None
    schema = onnx.defs.get_schema(node.op_type, max_inclusive_version=opset)
    allowed = {item.type_param_str: item.allowed_type_strs for item in schema.type_constraints}

    def narrowed(names: Collection[str], formal: Collection[onnx.defs.OpSchema.FormalParameter]) -> list[bool]:
        declared = list(formal)
        kinds = [declared[min(position, len(declared) - 1)].type_str for position in range(len(names))]
        return ["tensor(float16)" in allowed.get(kind, [kind]) for kind in kinds]

    outputs = zip(node.output, narrowed(node.output, schema.outputs), strict=True)
    if any(types.get(name) == TensorProto.FLOAT and not narrow for name, narrow in outputs):
        return None
    return frozenset(
        position
        for position, narrow in enumerate(narrowed(node.input, schema.inputs))
        if narrow and types.get(node.input[position]) == TensorProto.FLOAT
    )
