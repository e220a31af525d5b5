"""4-bit weights, packed two to a byte, with a scale for every block of inputs (MatMulNBits of com.microsoft)."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgefair.compress.quantization.prepare import MARKS, embedding_nodes, quantizable_nodes, weight_name
from edgefair.compress.quantization.weights import encode
from edgefair.errors import ModelError
from edgefair.exporters.checked import checked_model
from edgefair.graphs.metadata import take_metadata
from edgefair.graphs.names import Names

DOMAIN = "com.microsoft"
BITS, BLOCK = 4, 32
# The operator's code of 0.
ZERO = 8
# Its kernel may code what it multiplies with in 8 bits, by row and block.
ACCURACY = 4


def packable_nodes(prepared: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the MatMul and Gemm nodes whose weight can be packed, in graph order."""
    wanted = set(quantizable_nodes(prepared))
    return tuple(
        node.name
        for node in prepared.graph.node
        if node.name in wanted and node.op_type in {"MatMul", "Gemm"} and not _option(node, "transA")
    )


def pack(weight: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Codes and scales of a weight [inputs, outputs], w = scale * (code - 8), 0 <= code <= 15.

    The number of a block that is farthest from zero gets code 0, so all sixteen codes are used.

    Returns:
        uint8 [outputs, blocks, BLOCK / 2], the first of two codes in the lower half; float32 [outputs, blocks].
    """
    inputs, outputs = weight.shape
    blocks = -(-inputs // BLOCK)
    rows = np.zeros((outputs, blocks * BLOCK), dtype=np.float32)
    rows[:, :inputs] = weight.T
    rows = rows.reshape(outputs, blocks, BLOCK)
    farthest = np.take_along_axis(rows, np.abs(rows).argmax(axis=2)[:, :, None], axis=2)
    scale = -farthest / ZERO
    # What is nothing but zeros, or nearly, is code 8.
    scale[np.abs(scale) < np.finfo(np.float32).tiny] = 1.0
    codes = np.clip(np.rint(rows / scale) + ZERO, 0, 2 * ZERO - 1).astype(np.uint8)
    return codes[:, :, ::2] | codes[:, :, 1::2] << BITS, scale[:, :, 0].astype(np.float32)


def unpack(packed: NDArray[np.uint8], scale: NDArray[np.float32], inputs: int) -> NDArray[np.float32]:
    """The weight [inputs, outputs] that packed codes stand for."""
    codes = np.stack([packed & 15, packed >> BITS], axis=3).reshape(*packed.shape[:2], BLOCK)
    rows = (codes.astype(np.float32) - ZERO) * scale[:, :, None]
    return rows.reshape(len(packed), -1)[:, :inputs].T


def to_four_bits(prepared: onnx.ModelProto, float_nodes: Set[str] = frozenset()) -> onnx.ModelProto:
    """The graph with packed weights in its matrix products, and tables of embeddings in 8 bits by row.

    Args:
        prepared: a graph of `prepare_graph`.
        float_nodes: of `packable_nodes` and `embedding_nodes`, those that stay as they are.

    Raises:
        ModelError: names that are not the graph's, or nothing left to pack.
    """
    products, tables = set(packable_nodes(prepared)), set(embedding_nodes(prepared))
    if unknown := float_nodes - products - tables:
        raise ModelError(f"the graph has no layer '{min(unknown)}' that 4 bits are for")
    if not (products | tables) - float_nodes:
        raise ModelError("every layer stays in float", expected="at least one in 4 bits")
    model = onnx.ModelProto()
    model.CopyFrom(prepared)
    made = _Rewrite(model)
    for node in prepared.graph.node:
        if node.name in float_nodes or node.name not in products | tables:
            made.nodes.append(node)
        elif node.name in products:
            made.product(node)
        else:
            made.lookup(node)
    return made.finished()


class _Rewrite:
    """The nodes and constants of the new graph; a weight that layers share is packed once."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model, self._names = model, Names.of(model)
        self._constant = {item.name: item for item in model.graph.initializer}
        self._packed: dict[tuple[str, bool], list[str]] = {}
        self.nodes: list[onnx.NodeProto] = []

    def product(self, node: onnx.NodeProto) -> None:
        """A MatMul or Gemm; the bias of a Gemm is added behind it."""
        name, turned = weight_name(node), bool(_option(node, "transB"))
        outputs, inputs = self._constant[name].dims if turned else reversed(self._constant[name].dims)
        if (key := (name, turned)) not in self._packed:
            weight = numpy_helper.to_array(self._constant[name])
            codes, scale = pack(weight.T if turned else weight)
            self._packed[key] = [self._add(f"{name}/codes", codes), self._add(f"{name}/scales", scale)]
        bias = node.input[2] if len(node.input) > 2 else ""
        result = self._names.fresh(f"{node.output[0]}/product") if bias else node.output[0]
        self.nodes.append(
            helper.make_node(
                "MatMulNBits",
                [node.input[0], *self._packed[key]],
                [result],
                node.name,
                domain=DOMAIN,
                K=inputs,
                N=outputs,
                bits=BITS,
                block_size=BLOCK,
                accuracy_level=ACCURACY,
            )
        )
        if bias:
            name = self._names.fresh(f"{node.name}/bias")
            self.nodes.append(helper.make_node("Add", [result, bias], list(node.output), name))

    def lookup(self, node: onnx.NodeProto) -> None:
        """A row of codes, and its scale."""
        table, result = node.input[0], node.output[0]
        if (key := (table, False)) not in self._packed:
            rows = encode(numpy_helper.to_array(self._constant[table]), axis=0, bits=8, unsigned=False)
            self._packed[key] = [self._add(f"{table}/rows", rows.codes)]
            self._packed[key].append(self._add(f"{table}/row_scales", rows.scale[:, None]))
        row, scale, decoded = (self._names.fresh(f"{result}/{part}") for part in ("row", "row_scale", "row/float"))
        for value, given in zip(self._packed[key], (row, scale), strict=True):
            name = self._names.fresh(f"{given}/gather")
            self.nodes.append(helper.make_node("Gather", [value, node.input[1]], [given], name, axis=0))
        name = self._names.fresh(f"{row}/cast")
        self.nodes.append(helper.make_node("Cast", [row], [decoded], name, to=TensorProto.FLOAT))
        self.nodes.append(helper.make_node("Mul", [decoded, scale], [result], node.name))

    def finished(self) -> onnx.ModelProto:
        """The model, without what nobody reads any more."""
        graph = self._model.graph
        used = {name for node in self.nodes for name in node.input} | {item.name for item in graph.output}
        kept = [item for item in graph.initializer if item.name in used]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(kept)
        if DOMAIN not in {item.domain for item in self._model.opset_import}:
            self._model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
        take_metadata(self._model, self._model, without=MARKS)
        return checked_model(self._model)

    def _add(self, name: str, value: NDArray[Any]) -> str:
        given = self._names.fresh(name)
        self._model.graph.initializer.append(numpy_helper.from_array(value, given))
        return given


def _option(node: onnx.NodeProto, name: str) -> int:
    return next((item.i for item in node.attribute if item.name == name), 0)
