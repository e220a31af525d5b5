"""Where QuantizeLinear and DequantizeLinear sit: which values travel as INT8."""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass, field

import onnx
from onnx import numpy_helper

from edgefair.compress.quantization.prepare import STATIC_OPS, quantizable_nodes, weight_name
from edgefair.graphs.producers import producers, readers

# Read INT8 and give INT8 where everything around them does.
ARITHMETIC = frozenset({"Add", "Concat", "GlobalAveragePool", "AveragePool", "LeakyRelu"})
# Give numbers between 0 and 1, by which a product scales what it reads (SiLU, hard-swish, squeeze-and-excite). Another
# product of two values may have too wide a range for 8 bits.
GATES = frozenset({"Sigmoid", "HardSigmoid"})
# Move values and keep their scale.
MOVES = frozenset({"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"})
CLAMPS = frozenset({"Relu", "Clip"})
# Multiplications of one row below which a Gemm is no faster in INT8: starting its kernel and coding its result cost
# as much as they save (measured on AVX512-VNNI, batch 1).
SMALL = 1 << 15
# Input channels and pixels behind an output up to which a convolution is no faster in INT8, and channels up to which a
# depthwise one right behind it is not (3x3 on the colours of a picture and on 32 channels of 112 pixels: half as fast).
FEW_CHANNELS, FEW_PIXELS, NARROW = 4, 9, 32


@dataclass
class Placement:
    """Where the pairs are.

    Attributes:
        inside: values that exist as INT8 only; whoever reads them, reads them dequantized.
        read: float values that some nodes read quantized: value -> names of these nodes.
        folded: value -> the clamp's output that takes its place, as the codes cannot leave the clamp's range.
        scale_of: value -> the value whose scale it has, where it has not its own.
    """

    inside: list[str] = field(default_factory=list)
    read: dict[str, list[str]] = field(default_factory=dict)
    folded: dict[str, str] = field(default_factory=dict)
    scale_of: dict[str, str] = field(default_factory=dict)


class Graph:
    """Who makes and who reads which value."""

    def __init__(self, prepared: onnx.ModelProto) -> None:
        self.nodes = list(prepared.graph.node)
        self.constant = {item.name: item for item in prepared.graph.initializer}
        self.outputs = {item.name for item in prepared.graph.output}
        self.layers = frozenset(quantizable_nodes(prepared))
        self.readers = readers(self.nodes)
        self._made_by = producers(self.nodes)
        self.clamp = {
            node.input[0]: node
            for node in self.nodes
            if node.op_type in CLAMPS and self._alone(node.input[0]) and self._holds_zero(node)
        }
        self._clamps = {node.output[0]: node for node in self.clamp.values()}
        gates = {node.output[0] for node in self.nodes if node.op_type in GATES}
        self.passing = frozenset(
            node.name
            for node in self.nodes
            if node.op_type in ARITHMETIC | MOVES | GATES or (node.op_type == "Mul" and gates & set(node.input))
        )

    def values(self, node: onnx.NodeProto) -> list[str]:
        """What a node reads that is not constant: of a linear layer its rows, of a move what is moved."""
        if node.op_type in STATIC_OPS or node.op_type in MOVES:
            return [node.input[0]]
        return list(node.input)

    def result(self, node: onnx.NodeProto) -> str:
        """What a node gives once its clamp is part of it; a move cannot clamp, as it has no scale of its own."""
        clamp = None if node.op_type in MOVES else self.clamp.get(node.output[0])
        return str(node.output[0] if clamp is None else clamp.output[0])

    def behind(self, value: str) -> str | None:
        """What a layer gives from which a value comes by clamps and gates; None where several nodes read the value."""
        if not self._alone(value):
            return None
        while value in self._made_by and self._made_by[value].op_type in {*CLAMPS, *GATES, "Mul"}:
            value = self._made_by[value].input[0]
        return value

    def gives_codes(self, layer: onnx.NodeProto) -> bool:
        """Whether an INT8 layer has no kernel that gives float."""
        readers = self.readers[layer.output[0]]
        return layer.op_type == "Conv" or (
            len(readers) == 1 and readers[0].op_type in CLAMPS and layer.output[0] not in self.outputs
        )

    def _alone(self, name: str) -> bool:
        return len(self.readers[name]) == 1 and name not in self.outputs

    def limits(self, value: str) -> tuple[float, float]:
        """Between which numbers the clamp that gives a value leaves it; nothing is known of any other value."""
        clamp = self._clamps.get(value)
        return (-math.inf, math.inf) if clamp is None else self._limits(clamp)

    def _holds_zero(self, clamp: onnx.NodeProto) -> bool:
        """Whether its range holds zero, as every range of codes does, and something beside it."""
        low, high = self._limits(clamp)
        return low <= 0 <= high and low < high

    def _limits(self, clamp: onnx.NodeProto) -> tuple[float, float]:
        """Between which numbers a clamp leaves what it reads; NaN where that is computed."""
        if clamp.op_type == "Relu":
            return 0.0, math.inf
        found = [-math.inf, math.inf]
        for side, name in enumerate(clamp.input[1:]):
            if name:
                limit = self.constant.get(name)
                number = None if limit is None else numpy_helper.to_array(limit)
                found[side] = math.nan if number is None or number.size != 1 else float(number.item())
        return found[0], found[1]


def small_layers(prepared: onnx.ModelProto) -> frozenset[str]:
    """Names of the layers that are no faster in INT8 on a CPU, to be left in float where there are other layers.

    Gemm nodes with few weights; convolutions of few pixels on few channels, as an integer kernel then finds little to
    add up at once: the first layer of most networks of pictures; and a narrow depthwise convolution behind such a one.
    Where every layer is one, INT8 makes the graph smaller and slower.
    """
    graph = Graph(prepared)
    dims = {name: item.dims for name, item in graph.constant.items()}
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.name not in graph.layers:
            continue
        weight, groups = dims[weight_name(node)], _groups(node)
        if node.op_type == "Gemm":
            small = math.prod(weight) < SMALL
        elif groups == 1:
            small = node.op_type == "Conv" and weight[1] <= FEW_CHANNELS and 1 < math.prod(weight[2:]) <= FEW_PIXELS
        else:
            small = groups <= NARROW and weight[1] == 1 and graph.behind(node.input[0]) in found
        if small:
            found[node.output[0]] = node.name
    return frozenset(found.values())


def _groups(node: onnx.NodeProto) -> int:
    return next((item.i for item in node.attribute if item.name == "group"), 1)


def place_for_cpu(graph: Graph, quantized: Set[str], held: Set[str] = frozenset()) -> Placement:
    """For onnxruntime on a CPU: INT8 goes on through sums, pools and moves as long as an INT8 layer follows.

    A convolution gives INT8 always (its kernel cannot give float), and so does a layer with a clamp behind it (without
    a pair the clamp takes it back into float, weights and all). Another matrix product gives INT8 only where that is
    read next: else it gives float, and the pair behind it is saved. A layer in float reads and gives float: no pair is
    left at its clamp.

    Args:
        quantized: names of the linear layers in INT8.
        held: names of other nodes that compute in float even between INT8 layers.
    """
    carried = _carried(graph, quantized, held)
    placement = Placement()
    inside: set[str] = set()
    for node in graph.nodes:
        if node.name in quantized or node.name in carried:
            for name in graph.values(node):
                if name not in inside:
                    placement.read.setdefault(name, []).append(node.name)
        if node.name in carried or (node.name in quantized and graph.gives_codes(node)):
            result = graph.result(node)
            if result != node.output[0]:
                placement.folded[node.output[0]] = result
            if node.op_type in MOVES:
                source = graph.values(node)[0]
                placement.scale_of[result] = placement.scale_of.get(source, source)
            inside.add(result)
            placement.inside.append(result)
    return placement


def pairable(graph: Graph) -> tuple[str, ...]:
    """Values that a placement may put a pair on, whatever layers are in float, in the order in which they are met."""
    names: dict[str, None] = {}
    for node in _able(graph, graph.layers, frozenset()):
        names |= dict.fromkeys([*graph.values(node), graph.result(node)])
    return tuple(names)


def _able(graph: Graph, quantized: Set[str], held: Set[str]) -> list[onnx.NodeProto]:
    """Nodes that can give INT8: layers, and others if all they read is INT8, or has codes as a layer reads it too."""
    available = {name for node in graph.nodes if node.name in quantized for name in graph.values(node)}
    able = []
    for node in graph.nodes:
        passing = node.name in graph.passing and all(name in available for name in graph.values(node))
        if node.name in quantized or (passing and node.name not in held):
            available.add(graph.result(node))
            able.append(node)
    return able


def _carried(graph: Graph, quantized: Set[str], held: Set[str]) -> set[str]:
    """The nodes that can give INT8 and whose result an INT8 layer reads, or another such node."""
    wanted: set[str] = set()
    carried: set[str] = set()
    for node in reversed(_able(graph, quantized, held)):
        if graph.result(node) in wanted:
            carried.add(node.name)
        if node.name in quantized or node.name in carried:
            wanted.update(graph.values(node))
    return carried


def place_for_tensorrt(graph: Graph, quantized: Set[str], held: Set[str] = frozenset()) -> Placement:
    """For TensorRT: a pair in front of every INT8 layer, and on what a sum adds to a layer's result.

    TensorRT fuses a layer, the sum and clamp behind it and the next layer's quantizer by itself; pairs behind layers
    would forbid that.

    Args:
        quantized: names of the linear layers in INT8.
        held: names of other nodes that read float.
    """
    made_by = producers(graph.nodes)
    placement = Placement()
    for node in graph.nodes:
        if node.name in quantized:
            placement.read.setdefault(node.input[0], []).append(node.name)
    for node in graph.nodes:
        if (
            node.op_type == "Add"
            and node.name not in held
            and any(name in made_by and made_by[name].name in quantized for name in node.input)
        ):
            for name in node.input:
                if name in placement.read:
                    placement.read[name].append(node.name)
    return placement
