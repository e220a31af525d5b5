"""The nodes of an FP32 graph beside those of the INT8 graph that was made from it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edgefair.compress.quantization.placement import CLAMPS
from edgefair.graphs.producers import decoder, producers

# What `keep_sums_apart` writes in another way.
SAME = frozenset({("Add", "Sum")})


class Pairing:
    """Which value of the INT8 graph stands for which of the FP32 graph, told from the INT8 graph's own nodes.

    Attributes:
        nodes: of the FP32 graph.
        inputs: names of its inputs.
        constant: its constants.
        made: the constants of the INT8 graph.
    """

    def __init__(self, prepared: onnx.ModelProto, quantized: onnx.ModelProto) -> None:
        self.quantized = quantized
        self.nodes = list(prepared.graph.node)
        self.inputs = [item.name for item in prepared.graph.input]
        self.constant = {item.name: item for item in prepared.graph.initializer}
        self.made = {item.name: item for item in quantized.graph.initializer}
        self._own = {node.name: node for node in quantized.graph.node}
        self._made_by = producers(quantized.graph.node)
        self._clamp = {node.input[0]: node for node in reversed(self.nodes) if node.op_type in CLAMPS}
        self._values = {*self.inputs, *(name for node in self.nodes for name in node.output)}
        by_name = {node.name: node for node in self.nodes}
        sloped = {
            self._own[node.name].input[0]
            for node in self.nodes
            if node.name in self._own and self.is_sum_of_gate(node, self._own[node.name])
        }
        # Codes -> the FP32 value that they are of, what gives its codes, and what decodes it.
        self._coded: dict[str, str] = {}
        self._quantizer: dict[str, onnx.NodeProto] = {}
        self._decoded: dict[str, str] = {}
        for node in quantized.graph.node:
            if node.op_type == "QuantizeLinear":
                value = self._coded[node.output[0]] = self._value_of(node.input[0], by_name)
                self._quantizer.setdefault(value, node)
            elif node.op_type == "DequantizeLinear" and node.input[0] in self._coded and node.output[0] not in sloped:
                self._decoded.setdefault(self._coded[node.input[0]], node.output[0])

    def _value_of(self, name: str, by_name: dict[str, onnx.NodeProto]) -> str:
        """The FP32 value that a float value of the INT8 graph is."""
        if name in self._values or name in self.constant:
            return name
        maker = self._made_by[name]
        node = by_name[maker.name]
        clamp = self.folded_into(node)
        return str(node.output[list(maker.output).index(name)] if clamp is None else clamp.output[0])

    def other(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The INT8 graph's node of the same name."""
        return self._own.get(node.name)

    def is_same_operator(self, node: onnx.NodeProto, other: onnx.NodeProto) -> bool:
        """Whether both compute the same of what they read."""
        if len(node.input) != len(other.input) or node.domain != other.domain:
            return False
        alike = node.op_type == other.op_type or (node.op_type, other.op_type) in SAME
        return alike and list(node.attribute) == list(other.attribute)

    def is_lookup(self, node: onnx.NodeProto, other: onnx.NodeProto) -> bool:
        """Whether an embedding became a lookup of codes, whose last node scales them."""
        return node.op_type == "Gather" and other.op_type == "Mul"

    def is_sum_of_gate(self, node: onnx.NodeProto, other: onnx.NodeProto) -> bool:
        """Whether a hard sigmoid became a sum, of which the codes are what it is between its ends."""
        return node.op_type == "HardSigmoid" and other.op_type == "Add"

    def is_folded(self, node: onnx.NodeProto) -> bool:
        """Whether a clamp is part of the node in front of it."""
        return node.op_type in CLAMPS and node.name not in self._own and self._clamp.get(node.input[0]) is node

    def folded_into(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The clamp that is part of a node."""
        clamp = self._clamp.get(node.output[0])
        return clamp if clamp is not None and clamp.name not in self._own else None

    def stands_for(self, read: str) -> str | None:
        """The FP32 value that a value of the INT8 graph is, or is the codes of; None where there is none."""
        decoder = self.decoder(read)
        if decoder is not None and decoder.input[0] in self._coded:
            return self._coded[decoder.input[0]]
        return read if decoder is None and (read in self._values or read in self.constant) else None

    def decoder(self, value: str) -> onnx.NodeProto | None:
        """The DequantizeLinear that gives a value."""
        return decoder(self._made_by, value)

    def decoded(self, value: str) -> str | None:
        """What an FP32 value is behind its codes; None where it has none, or nobody reads it as it is."""
        return self._decoded.get(value)

    def quantizer(self, value: str) -> onnx.NodeProto | None:
        """The QuantizeLinear that gives the codes of an FP32 value; None where it has none."""
        return self._quantizer.get(value)

    def is_float(self, value: str) -> bool:
        """Whether the INT8 graph has an FP32 value as it is, and not only its codes."""
        return value in self.inputs or (value in self._made_by and self.decoder(value) is None)

    def range_of(self, quantizer: onnx.NodeProto) -> tuple[float, float, float]:
        """The smallest and the largest number that a value behind its codes can be, and the step between two."""
        scale, zero = (numpy_helper.to_array(self.made[name]).reshape(-1)[0] for name in quantizer.input[1:])
        step, codes = float(scale), np.iinfo(numpy_helper.to_array(self.made[quantizer.input[2]]).dtype)
        return (codes.min - int(zero)) * step, (codes.max - int(zero)) * step, step

    def reader(self, value: str) -> onnx.NodeProto:
        """The first FP32 node that reads a value in the INT8 graph."""
        names = {node.name for node in self.quantized.graph.node if value in node.input}
        return next(node for node in self.nodes if node.name in names)
