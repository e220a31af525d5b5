"""Writes a graph whose layers read codes, by a placement, node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgefair.compress.quantization.calibrate import Ranges
from edgefair.compress.quantization.dialect import DIALECTS
from edgefair.compress.quantization.placement import Graph, Placement
from edgefair.compress.quantization.prepare import MARKS, weight_name
from edgefair.compress.quantization.recipe import CODES, CalibrationRecipe
from edgefair.compress.quantization.weights import Codes
from edgefair.errors import ModelError
from edgefair.graphs.metadata import take_metadata
from edgefair.graphs.names import Names

LARGEST_BIAS = 2**31 - 1
REQUANTIZED = frozenset({"Conv", "ConvTranspose", "Gemm"})
# The first opset whose own QuantizeLinear and DequantizeLinear know 16 bits; before it onnxruntime's do.
SIXTEEN_BITS, CONTRIBUTED = 21, "com.microsoft"


class Writer:
    """The nodes and constants of the INT8 graph, in the order of the float graph.

    A value `v` gets the names `v/float` before, `v/codes` as integers and `v/dequantized` after, as far as the graph
    leaves them free, but for values that are integers only: these are `v` where they are dequantized, so that whoever
    reads them need not know.

    Args:
        names: of the float graph; the writer's own.
    """

    def __init__(
        self, graph: Graph, placement: Placement, ranges: Ranges, recipe: CalibrationRecipe, names: Names
    ) -> None:
        self._graph, self._placement, self._ranges, self._recipe = graph, placement, ranges, recipe
        self._dialect = DIALECTS[recipe.runtime]
        self._names = names
        self._nodes: list[onnx.NodeProto] = []
        self._made: list[onnx.TensorProto] = []
        # By what they are made of: scale and zero point of a value, its codes, its floats again, by channel.
        self._constants: dict[str, list[str]] = {}
        self._coded: dict[str, str] = {}
        self._decoded: dict[str, str] = {}
        self._spread: dict[tuple[str, int, int], str] = {}
        self._weights: dict[int, tuple[Codes, str]] = {}
        self._integers: dict[int, tuple[Codes, str]] = {}
        self._tables: dict[str, tuple[str, str]] = {}
        self._inside = set(placement.inside)
        self._dropped = set(placement.folded.values())
        for name in placement.read:
            if not any(name in node.output for node in graph.nodes):
                self._pair(name, name)

    def node(self, node: onnx.NodeProto) -> None:
        """Take over a node as it is, but for the values that it reads or gives as codes."""
        if node.output[0] in self._dropped:
            return
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        if node.op_type == "HardSigmoid" and node.output[0] in self._inside:
            copied = self._sum_of_gate(node)
        if node.op_type in REQUANTIZED and node.input[0] in self._inside and node.input[1] in self._graph.constant:
            copied.input[0] = self._by_channel(node)
        self._connect(copied)

    def _sum_of_gate(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """A hard sigmoid as alpha x + beta, whose codes end where it is cut: the sum has an integer kernel.

        alpha is part of the scale with which the codes of x are decoded.
        """
        options = {"alpha": 0.2, "beta": 0.5} | {item.name: item.f for item in node.attribute}
        name = node.input[0]
        slope = np.array(float(self._scale(name)) * options["alpha"], dtype=np.float32)
        stem, zero = f"{node.name}/slope", self._zero(name)
        inputs = [self._coded[name], self._constant(f"{stem}/scale", slope), self._constant(f"{stem}/zero", zero)]
        sloped = self._add("DequantizeLinear", inputs, stem, f"{stem}/dequantize")
        stem, codes = f"{node.name}/offset", CODES[self._recipe.activations]
        offset = [np.array(codes[1], dtype=zero.dtype), np.array(options["beta"] / codes[1], dtype=np.float32)]
        inputs = [self._constant(f"{stem}/codes", offset[0]), self._constant(f"{stem}/scale", offset[1])]
        inputs.append(self._constant(f"{stem}/zero", np.zeros_like(zero)))
        decoded = self._add("DequantizeLinear", inputs, stem, f"{stem}/dequantize")
        return helper.make_node("Add", [sloped, decoded], list(node.output), node.name)

    def least_scale(self, node: onnx.NodeProto) -> NDArray[np.float64] | float:
        """The smallest weight scale by channel with which the layer's bias fits 32 bits."""
        bias = self._bias(node)
        if bias is None:
            return 0.0
        size = np.abs(bias.astype(np.float64)).ravel()
        least = 1.0001 * size / LARGEST_BIAS / self._scale(node.input[0])
        return least if self._recipe.weights == "per-channel" else float(least.max())

    def layer(self, node: onnx.NodeProto, codes: Codes) -> None:
        """A linear layer in INT8: its weight as codes, its bias as int32 with scale = rows' scale * weight's scale."""
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        copied.input[1] = self._weight(weight_name(node), codes)
        bias = self._bias(node)
        if bias is not None:
            scale = (self._scale(node.input[0]) * codes.scale.astype(np.float64)).astype(np.float32)
            integers = np.rint(bias.astype(np.float64) / scale).clip(-LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)
            stem = f"{node.name}/bias"
            inputs = [
                self._constant(f"{stem}/codes", integers),
                self._constant(f"{stem}/scale", scale),
                self._constant(f"{stem}/zero", np.zeros(scale.shape, dtype=np.int32)),
            ]
            axis: dict[str, Any] = {} if scale.ndim == 0 else {"axis": bias.ndim - 1}
            copied.input[2] = self._add("DequantizeLinear", inputs, stem, f"{stem}/dequantize", **axis)
        self._connect(copied)

    def embedding(self, node: onnx.NodeProto, table: Codes) -> None:
        """A lookup of rows of codes, decoded after it: row = scale of the row * codes."""
        name, result = node.input[0], node.output[0]
        if name not in self._tables:
            scale = self._constant(f"{name}/row_scales", table.scale[:, None])
            self._tables[name] = self._codes_of(f"{name}/rows", table), scale
        row, row_scale = (
            self._add("Gather", [values, node.input[1]], given, f"{given}/gather", axis=0)
            for values, given in zip(self._tables[name], (f"{result}/row", f"{result}/row_scale"), strict=True)
        )
        decoded = self._add("Cast", [row], f"{result}/row/float", f"{result}/row/cast", to=TensorProto.FLOAT)
        self._connect(helper.make_node("Mul", [decoded, row_scale], [result], node.name))

    def model(self, prepared: onnx.ModelProto) -> onnx.ModelProto:
        """The INT8 model, with the inputs, outputs and metadata of the float one."""
        outputs = {item.name for item in prepared.graph.output}
        used = outputs | {name for node in self._nodes for name in node.input}
        graph = helper.make_graph(
            [node for node in self._nodes if node.op_type != "DequantizeLinear" or node.output[0] in used],
            prepared.graph.name,
            prepared.graph.input,
            prepared.graph.output,
            [item for item in prepared.graph.initializer if item.name in used] + self._made,
        )
        model = helper.make_model(graph, opset_imports=prepared.opset_import, ir_version=prepared.ir_version)
        if self._recipe.activations == "uint16":
            _know_sixteen_bits(model)
        model.producer_name, model.producer_version = prepared.producer_name, prepared.producer_version
        take_metadata(model, prepared, without=MARKS)
        return model

    def _connect(self, node: onnx.NodeProto) -> None:
        """Add a node with its values renamed to what it reads and gives, and the pairs behind it."""
        for index, name in enumerate(node.input):
            if node.name in self._placement.read.get(name, ()):
                node.input[index] = self._decoded[name]
        name = self._placement.folded.get(node.output[0], node.output[0])
        self._nodes.append(node)
        if name in self._inside:
            node.output[0] = self._names.fresh(f"{name}/float")
            self._pair(node.output[0], name)
        for given in node.output:
            if given in self._placement.read:
                self._pair(given, given)

    def _by_channel(self, node: onnx.NodeProto) -> str:
        """What a layer in float reads of a value that is integers: decoded with the one scale written per channel.

        onnxruntime quantizes the weight of any layer between a DequantizeLinear of one scale and a QuantizeLinear, with
        one scale for the whole weight (WeightBiasQuantization). The layer would not be in float when it runs.
        """
        name, options = node.input[0], {item.name: item.i for item in node.attribute}
        weight = self._graph.constant[node.input[1]].dims
        axis = 1
        if node.op_type == "Conv":
            channels = weight[1] * options.get("group", 1)
        elif node.op_type == "Gemm":
            channels, axis = weight[options.get("transB", 0)], 1 - options.get("transA", 0)
        else:
            channels = weight[0]
        if (key := (name, channels, axis)) not in self._spread:
            stem = f"{name}/by_channel"
            inputs = [
                self._coded[name],
                self._constant(f"{stem}/scale", np.full(channels, self._scale(name))),
                self._constant(f"{stem}/zero", np.full(channels, self._zero(name))),
            ]
            self._spread[key] = self._add("DequantizeLinear", inputs, stem, f"{stem}/dequantize", axis=axis)
        return self._spread[key]

    def _pair(self, value: str, name: str) -> None:
        """QuantizeLinear and DequantizeLinear behind a value, by the range of `name`.

        What comes out is `name` itself where that is integers only, and else stands in `_decoded`.
        """
        owner = self._placement.scale_of.get(name, name)
        if owner not in self._constants:
            self._constants[owner] = [
                self._constant(f"{owner}/scale", self._scale(owner)),
                self._constant(f"{owner}/zero", self._zero(owner)),
            ]
        constants = self._constants[owner]
        codes = self._add("QuantizeLinear", [value, *constants], f"{name}/codes", f"{name}/quantize")
        self._coded[name] = codes
        if name in self._inside:
            node_name = self._names.fresh(f"{name}/dequantize")
            self._nodes.append(helper.make_node("DequantizeLinear", [codes, *constants], [name], node_name))
        else:
            self._decoded[name] = self._add(
                "DequantizeLinear", [codes, *constants], f"{name}/dequantized", f"{name}/dequantize"
            )

    def _weight(self, name: str, codes: Codes) -> str:
        """A weight as codes and a DequantizeLinear, or for TensorRT in float and a pair; layers may share it."""
        if id(codes) not in self._weights:
            zero = np.full(codes.scale.shape, codes.zero, dtype=codes.codes.dtype)
            constants = [self._constant(f"{name}/scale", codes.scale), self._constant(f"{name}/zero", zero)]
            axis: dict[str, Any] = {} if codes.axis is None else {"axis": codes.axis}
            if self._dialect.integer_weights:
                integers = self._codes_of(f"{name}/codes", codes)
            else:
                integers = self._add("QuantizeLinear", [name, *constants], f"{name}/codes", f"{name}/quantize", **axis)
            decoded = self._add(
                "DequantizeLinear", [integers, *constants], f"{name}/dequantized", f"{name}/dequantize", **axis
            )
            self._weights[id(codes)] = codes, decoded
        return self._weights[id(codes)][1]

    def _codes_of(self, name: str, codes: Codes) -> str:
        """The integers of a weight as a constant, which a table and a layer share where they share the weight."""
        if id(codes) not in self._integers:
            self._integers[id(codes)] = codes, self._constant(name, codes.codes)
        return self._integers[id(codes)][1]

    def _bias(self, node: onnx.NodeProto) -> NDArray[np.float32] | None:
        """The bias, if it can be integers: constant, one number per output."""
        constant = self._graph.constant.get(node.input[2]) if len(node.input) > 2 else None
        if constant is None or not self._dialect.integer_bias:
            return None
        value = np.atleast_1d(numpy_helper.to_array(constant))
        return value if value.shape[-1] == value.size else None

    def _scale(self, name: str) -> NDArray[np.float32]:
        low, high = self._limits(name)
        first, last = CODES[self._recipe.activations]
        return np.array((high - low) / (last - first), dtype=np.float32)

    def _zero(self, name: str) -> NDArray[Any]:
        first, last = CODES[self._recipe.activations]
        zero = (
            0
            if self._recipe.activations == "int8-symmetric"
            else round(first - self._limits(name)[0] / float(self._scale(name)))
        )
        return np.array(min(max(zero, first), last), dtype=self._recipe.activations.removesuffix("-symmetric"))

    def _limits(self, name: str) -> tuple[float, float]:
        """The range of codes of a value: it holds zero, and is symmetric where the recipe says so.

        A value that was nothing but zero gets steps of 1, within the limits of a clamp that its codes stand for.
        """
        owner = self._placement.scale_of.get(name, name)
        if owner not in self._ranges:
            raise ModelError(
                f"activation '{owner}' has no range", expected="ranges of the same prepared graph, all of it in FP32"
            )
        low, high = min(self._ranges[owner][0], 0.0), max(self._ranges[owner][1], 0.0)
        first, last = CODES[self._recipe.activations]
        nothing = np.float32((high - low) / (last - first)) < np.finfo(np.float32).tiny
        if self._recipe.activations == "int8-symmetric":
            return (float(first), float(last)) if nothing else (-max(-low, high), max(-low, high))
        if nothing:
            least, most = self._graph.limits(owner)
            high = min(float(last - first), most)
            low = max(float(first - last), least) if high == 0 else 0.0
        return low, high

    def _add(self, operator: str, inputs: list[str], output: str, name: str, **attributes: Any) -> str:
        """A node; the name of what it gives, which is `output` where that is free."""
        given = self._names.fresh(output)
        self._nodes.append(helper.make_node(operator, inputs, [given], self._names.fresh(name), **attributes))
        return given

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        """A constant; its name, which is this one where that is free."""
        given = self._names.fresh(name)
        self._made.append(numpy_helper.from_array(value, given))
        return given


def _know_sixteen_bits(model: onnx.ModelProto) -> None:
    """Take the quantizers of a domain that has 16-bit codes, in place."""
    versions = {item.domain: item.version for item in model.opset_import}
    if versions.get("", versions.get("ai.onnx", 0)) >= SIXTEEN_BITS:
        return
    for node in model.graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            node.domain = CONTRIBUTED
    if CONTRIBUTED not in versions:
        model.opset_import.append(helper.make_opsetid(CONTRIBUTED, 1))
