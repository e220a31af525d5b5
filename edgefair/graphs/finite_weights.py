"""Weights that make answers NaN: found in the file, because the answers do not say where it began."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgefair.graphs.names import parts_of

NORM = "BatchNormalization"
# Operators of which one NaN among the weights is a NaN in what they give for every row.
LAYERS = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", NORM, "InstanceNormalization", "LayerNormalization", "LSTM", "GRU"}
)
# Of these too, wherever a number of theirs meets one of the weights.
ELEMENTWISE = frozenset({"Add", "Sub", "Mul", "Div", "PRelu"})
# Of these a weight, not a bias, that is infinite gives NaN wherever it meets a zero, and infinity elsewhere. Infinite
# biases are how a class is ruled out.
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
WEIGHTS = (0, 1)
VARIANCE, EPSILON = 4, 1e-5  # the input of NORM, and what ONNX adds where the node does not say
KINDS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}


def broken_weight(model: onnx.ModelProto) -> str | None:
    """The first weight that is no number, infinite where it multiplies, or a variance below zero, in words."""
    for part in parts_of(model):
        if isinstance(part, onnx.FunctionProto):  # it has no weights of its own
            continue
        weights = {item.name: item for item in part.initializer if item.data_type in KINDS}
        for node in part.node:
            if node.op_type not in LAYERS | ELEMENTWISE:
                continue
            for position, name in enumerate(node.input):
                if name not in weights:
                    continue
                value = numpy_helper.to_array(weights[name])
                where = f"'{name}', a weight of {node.op_type} '{node.name}',"
                # The least of numbers with a NaN is NaN: no copy of a large weight is made.
                if value.size and np.isnan(value.min()):
                    return f"{where} has NaN in {np.count_nonzero(np.isnan(value)):,} of {value.size:,} numbers"
                if node.op_type in PRODUCTS and position in WEIGHTS and value.size and _unbounded(value):
                    return f"{where} has infinity in {np.count_nonzero(np.isinf(value)):,} of {value.size:,} numbers"
                if node.op_type == NORM and position == VARIANCE and value.size and value.min() < -_epsilon(node):
                    return f"{where} has negative variances, whose roots are NaN"
    return None


def _unbounded(value: NDArray[np.floating[Any]]) -> bool:
    return bool(np.isinf(value.max()) or np.isinf(value.min()))


def _epsilon(node: onnx.NodeProto) -> float:
    return next((item.f for item in node.attribute if item.name == "epsilon"), EPSILON)
