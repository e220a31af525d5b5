"""Layer by layer, what the FP32 graph gave is given again by codes: weights rounded for it, biases moved to it."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.quantization.calibrate import Batch
from edgefair.compress.quantization.prepare import quantizable_nodes
from edgefair.compress.quantization.treatments.constants import Constants
from edgefair.compress.quantization.treatments.moments import moments_of
from edgefair.compress.quantization.treatments.rounding import round_adaptively
from edgefair.compress.quantization.treatments.stages import Stages
from edgefair.compress.quantization.weights import LARGEST

Floats = NDArray[np.float64]


def reconstruct(
    prepared: onnx.ModelProto,
    quantized: onnx.ModelProto,
    rows: Batch,
    cell: NDArray[np.int64],
    *,
    rounds: bool,
    bits: int,
    seed: int = 0,
) -> onnx.ModelProto:
    """The FP32 graph with weights that codes hold exactly and biases that make up for what is lost.

    In the order of the graph: of each layer the inputs that it gets in the INT8 graph, with all before it treated
    already, and the outputs that it has in the FP32 graph give the loss whose minimum over codes is looked for
    (`round_adaptively`), and the bias is moved by the mean of what is left, channel by channel (bias correction, Nagel
    et al., ICCV 2019). Every cell of rows weighs alike in all of it, so no group pays for the others' reconstruction.

    Args:
        prepared: a graph of `prepare_graph`.
        quantized: the INT8 graph made from it, whose nodes have the same names.
        rows: graph inputs, held in memory with one layer's activations.
        cell: of every row, int64 [rows].
        rounds: whether weights are rounded; else only biases are moved.
        bits: a key of LARGEST, of the weights of the INT8 graph.
        seed: draws the places of a picture that are looked at.

    Raises:
        ModelError: one of the graphs cannot be run.
    """
    constants, nodes = Constants(prepared), {node.name: node for node in prepared.graph.node}
    layers = quantizable_nodes(prepared)
    readers = [nodes[name].input[1] for name in layers]
    floats, integers = Stages(prepared, rows), Stages(quantized, rows)
    for number, name in enumerate(layers):
        layer = _Layer(nodes[name], constants.of(name, 1), integers.scale(name), LARGEST[bits])
        bias = constants.of(name, 2) if constants.has(name, 2) else None
        layer.fit(
            integers.read(name),
            floats.given(name) if bias is None else layer.without_bias(floats.given(name), bias),
            cell,
            seed + number,
            centred=bias is not None,
            rounds=rounds and readers.count(nodes[name].input[1]) == 1,
        )
        if layer.scale is not None:
            integers.put(name, 1, layer.weight)
            if layer.rounded:
                constants.put(name, 1, layer.weight)
        if bias is not None and layer.shift is not None:
            moved = (np.broadcast_to(bias, np.broadcast_shapes(bias.shape, layer.shift.shape)) + layer.shift).astype(
                np.float32
            )
            constants.put(name, 2, moved)
            integers.put(name, 2, moved)
    return constants.finish()


class _Layer:
    """A layer whose weight is fitted.

    Args:
        node: Conv, Gemm or MatMul.
        weight: in float.
        scale: of its codes, [outputs] or []; None where it stays in float.
        largest: code.

    Attributes:
        weight: as codes hold it, once it is fitted.
        rounded: whether its codes were chosen.
        shift: what its bias is moved by, [outputs]; None where the rows do not tell.
    """

    def __init__(
        self, node: onnx.NodeProto, weight: NDArray[np.float32], scale: NDArray[np.float32] | None, largest: int
    ) -> None:
        self.node, self.scale, self._largest = node, scale, largest
        self.weight, self.rounded = weight, False
        self.shift: Floats | None = None
        options = {item.name: item.i for item in node.attribute}
        self._groups = options.get("group", 1) if node.op_type == "Conv" else 1
        self._transposed = node.op_type == "MatMul" or (node.op_type == "Gemm" and not options.get("transB"))

    def without_bias(self, given: NDArray[np.float32], bias: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the product alone gives."""
        shaped = bias.reshape(-1, *[1] * (given.ndim - 2)) if self.node.op_type == "Conv" else bias
        return given - shaped

    def fit(
        self,
        read: NDArray[np.float32],
        wanted: NDArray[np.float32],
        cell: NDArray[np.int64],
        seed: int,
        *,
        centred: bool,
        rounds: bool,
    ) -> None:
        """Choose codes, where they may be chosen, and the shift of the bias; see `reconstruct`."""
        weight = (self.weight.T if self._transposed else self.weight).astype(np.float64)
        rows = weight.reshape(self._groups, weight.shape[0] // self._groups, -1)
        scales = None if self.scale is None else np.broadcast_to(self.scale, weight.shape[:1]).astype(np.float64)
        found = list(moments_of(self.node, self.weight, read, wanted, cell, seed, centred=centred))
        made, shifts = [], []
        for group, part in enumerate(rows):
            scale = None if scales is None else scales.reshape(self._groups, -1)[group]
            if scale is None:
                fitted = part
            elif rounds and found:
                fitted = scale[:, None] * round_adaptively(
                    part, scale, self._largest, found[group].inner, found[group].outer
                )
            else:
                codes = np.rint(part / scale[:, None]).clip(-self._largest, self._largest)
                fitted = scale[:, None] * codes
            made.append(fitted)
            if found:
                shifts.append(found[group].given - fitted @ found[group].read)
        shaped = np.concatenate(made).reshape(weight.shape)
        self.weight = (shaped.T if self._transposed else shaped).astype(np.float32)
        self.rounded = self.scale is not None and rounds and bool(found)
        self.shift = np.concatenate(shifts) if shifts else None
