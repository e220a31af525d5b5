"""Writes a graph whose layers read codes, by a placement, node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgefair.compress.placement import Graph, Placement
from edgefair.compress.prepared import MARKS, weight_name
from edgefair.compress.ranges import Ranges
from edgefair.compress.recipe import CalibrationRecipe
from edgefair.compress.weights import Codes
from edgefair.errors import ModelError

LARGEST_BIAS = 2**31 - 1
REQUANTIZED = frozenset({"Conv", "ConvTranspose", "Gemm"})
# Smallest and largest code of an activation.
CODES = {"uint8": (0, 255), "int8": (-128, 127), "int8-symmetric": (-127, 127)}


class Writer:
    """The nodes and constants of the INT8 graph, in the order of the float graph.

    A value `v` gets the names `v/float` before, `v/codes` as integers and `v/dequantized` after, but for values that
    are integers only: these are `v` where they are dequantized, so that whoever reads them need not know.
    """

    def __init__(self, graph: Graph, placement: Placement, ranges: Ranges, recipe: CalibrationRecipe) -> None:
        self._graph, self._placement, self._ranges, self._recipe = graph, placement, ranges, recipe
        self._nodes: list[onnx.NodeProto] = []
        self._made: dict[str, onnx.TensorProto] = {}
        self._codes: dict[int, tuple[Codes, str]] = {}
        self._inside = set(placement.inside)
        self._spread: set[str] = set()
        self._dropped = set(placement.folded.values())
        for name in placement.read:
            if not any(name in node.output for node in graph.nodes):
                self._pair(name, name, f"{name}/dequantized")

    def node(self, node: onnx.NodeProto) -> None:
        """Take over a node as it is, but for the values that it reads or gives as codes."""
        if node.output[0] in self._dropped:
            return
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        if node.op_type in REQUANTIZED and node.input[0] in self._inside and node.input[1] in self._graph.constant:
            copied.input[0] = self._by_channel(node)
        self._connect(copied)

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
            name = f"{node.name}/bias"
            inputs = [
                self._constant(f"{name}/codes", integers),
                self._constant(f"{name}/scale", scale),
                self._constant(f"{name}/zero", np.zeros(scale.shape, dtype=np.int32)),
            ]
            axis: dict[str, Any] = {} if scale.ndim == 0 else {"axis": bias.ndim - 1}
            self._nodes.append(helper.make_node("DequantizeLinear", inputs, [name], f"{name}/dequantize", **axis))
            copied.input[2] = name
        self._connect(copied)

    def embedding(self, node: onnx.NodeProto, table: Codes) -> None:
        """A lookup of rows of codes, decoded after it: row = scale of the row * codes."""
        name, result = node.input[0], node.output[0]
        rows, scales = f"{result}/row", f"{result}/row_scale"
        for values, given in (
            (self._constant(f"{name}/rows", table.codes), rows),
            (self._constant(f"{name}/row_scales", table.scale[:, None]), scales),
        ):
            self._nodes.append(helper.make_node("Gather", [values, node.input[1]], [given], f"{given}/gather", axis=0))
        self._nodes.append(helper.make_node("Cast", [rows], [f"{rows}/float"], f"{rows}/cast", to=TensorProto.FLOAT))
        self._connect(helper.make_node("Mul", [f"{rows}/float", scales], [result], node.name))

    def model(self, prepared: onnx.ModelProto) -> onnx.ModelProto:
        """The INT8 model, with the inputs, outputs and metadata of the float one."""
        outputs = {item.name for item in prepared.graph.output}
        used = outputs | {name for node in self._nodes for name in node.input}
        graph = helper.make_graph(
            [node for node in self._nodes if node.op_type != "DequantizeLinear" or node.output[0] in used],
            prepared.graph.name,
            prepared.graph.input,
            prepared.graph.output,
            [item for item in prepared.graph.initializer if item.name in used] + list(self._made.values()),
        )
        model = helper.make_model(graph, opset_imports=prepared.opset_import, ir_version=prepared.ir_version)
        model.producer_name, model.producer_version = prepared.producer_name, prepared.producer_version
        model.metadata_props.extend(item for item in prepared.metadata_props if item.key not in MARKS)
        return model

    def _connect(self, node: onnx.NodeProto) -> None:
        """Add a node with its values renamed to what it reads and gives, and the pairs behind it."""
        for index, name in enumerate(node.input):
            if node.name in self._placement.read.get(name, ()):
                node.input[index] = f"{name}/dequantized"
        name = self._placement.folded.get(node.output[0], node.output[0])
        self._nodes.append(node)
        if name in self._inside:
            node.output[0] = f"{name}/float"
            self._pair(node.output[0], name, name)
        for given in node.output:
            if given in self._placement.read:
                self._pair(given, given, f"{given}/dequantized")

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
        stem = f"{name}/by_channel"
        if stem not in self._spread:
            self._spread.add(stem)
            scale, zero = self._scale(name), self._zero(name)
            inputs = [
                f"{name}/codes",
                self._constant(f"{stem}/scale", np.full(channels, scale)),
                self._constant(f"{stem}/zero", np.full(channels, zero)),
            ]
            self._nodes.append(helper.make_node("DequantizeLinear", inputs, [stem], f"{stem}/dequantize", axis=axis))
        return stem

    def _pair(self, value: str, name: str, result: str) -> None:
        """QuantizeLinear and DequantizeLinear behind a value, by the range of `name`."""
        owner = self._placement.scale_of.get(name, name)
        scale, zero = self._scale(owner), self._zero(owner)
        constants = [self._constant(f"{owner}/scale", scale), self._constant(f"{owner}/zero", zero)]
        codes = f"{name}/codes"
        self._nodes.append(helper.make_node("QuantizeLinear", [value, *constants], [codes], f"{name}/quantize"))
        self._nodes.append(helper.make_node("DequantizeLinear", [codes, *constants], [result], f"{name}/dequantize"))

    def _weight(self, name: str, codes: Codes) -> str:
        """A weight as codes and a DequantizeLinear, or for TensorRT in float and a pair; layers may share it."""
        if id(codes) in self._codes:
            return self._codes[id(codes)][1]
        stem = name if f"{name}/scale" not in self._made else f"{name}/{len(self._codes)}"
        self._codes[id(codes)] = codes, f"{stem}/dequantized"
        zero = np.full(codes.scale.shape, codes.zero, dtype=codes.codes.dtype)
        constants = [self._constant(f"{stem}/scale", codes.scale), self._constant(f"{stem}/zero", zero)]
        axis: dict[str, Any] = {} if codes.axis is None else {"axis": codes.axis}
        integers = f"{stem}/codes"
        if self._recipe.runtime == "tensorrt":
            self._nodes.append(
                helper.make_node("QuantizeLinear", [name, *constants], [integers], f"{stem}/quantize", **axis)
            )
        else:
            self._constant(integers, codes.codes)
        inputs = [integers, *constants]
        self._nodes.append(
            helper.make_node("DequantizeLinear", inputs, [f"{stem}/dequantized"], f"{stem}/dequantize", **axis)
        )
        return f"{stem}/dequantized"

    def _bias(self, node: onnx.NodeProto) -> NDArray[np.float32] | None:
        """The bias, if it can be integers: constant, one number per output, not scaled by the layer."""
        if len(node.input) < 3 or self._recipe.runtime == "tensorrt":
            return None
        constant = self._graph.constant.get(node.input[2])
        scaled = any(item.name in {"alpha", "beta"} and item.f != 1 for item in node.attribute)
        if constant is None or scaled:
            return None
        value = numpy_helper.to_array(constant)
        return value if value.ndim and value.shape[-1] == value.size else None

    def _scale(self, name: str) -> NDArray[np.float32]:
        low, high = self._limits(name)
        first, last = CODES[self._recipe.activations]
        scale = np.float32((high - low) / (last - first))
        return np.array(scale if scale >= np.finfo(np.float32).tiny else 1.0, dtype=np.float32)

    def _zero(self, name: str) -> NDArray[Any]:
        first, last = CODES[self._recipe.activations]
        zero = (
            0
            if self._recipe.activations == "int8-symmetric"
            else round(first - self._limits(name)[0] / float(self._scale(name)))
        )
        return np.array(min(max(zero, first), last), dtype=np.uint8 if first == 0 else np.int8)

    def _limits(self, name: str) -> tuple[float, float]:
        """The range of codes of a value: it holds zero, and is symmetric where the recipe says so."""
        owner = self._placement.scale_of.get(name, name)
        if owner not in self._ranges:
            raise ModelError(
                f"activation '{owner}' has no range", expected="ranges of the same prepared graph, all of it in FP32"
            )
        low, high = min(self._ranges[owner][0], 0.0), max(self._ranges[owner][1], 0.0)
        if self._recipe.activations == "int8-symmetric":
            low, high = -max(-low, high), max(-low, high)
        return low, high

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self._made:
            self._made[name] = numpy_helper.from_array(value, name)
        return name
