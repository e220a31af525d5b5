"""The layers of a dynamic INT8 graph as the integer products that a processor computes, one row at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgefair.compress.analysis.integer_layers import Integers, QuantizedLayer
from edgefair.compress.quantization.prepare import DYNAMIC_OPS

CODES = 255


@dataclass(frozen=True, eq=False)
class DynamicLayer:
    """A product of activations that are coded while the graph runs, and signed weights.

    Attributes:
        layer: the product; its `values` are the FP32 graph's, as its input has no codes there.
        coded: scale and zero point of the input's codes, where they are known before: behind an embedding whose table
            is coded. None where DynamicQuantizeLinear finds them.
    """

    layer: QuantizedLayer
    coded: tuple[float, int] | None

    def codes(self, values: NDArray[np.float32]) -> tuple[Integers, NDArray[np.int64], NDArray[np.float64]]:
        """Codes of a batch as int32 of its shape, and every row's zero point and step, each [rows].

        As ONNX defines DynamicQuantizeLinear for the row alone: step = (max(x, 0) - min(x, 0)) / 255,
        zero = round(-min(x, 0) / step), codes = round(x / step) + zero, all within 0 to 255.
        """
        rows = len(values)
        shape = (rows, *[1] * (values.ndim - 1))
        if self.coded is not None:
            step = np.full(rows, self.coded[0], np.float32)
            zero = np.full(rows, self.coded[1], np.float32)
        else:
            flat = values.reshape(rows, -1)
            low, high = np.minimum(flat.min(axis=1), 0), np.maximum(flat.max(axis=1), 0)
            step = np.where(high > low, (high - low) / np.float32(CODES), np.float32(1))
            zero = np.clip(np.rint(-low / step), 0, CODES)
        codes = np.clip(np.rint(values / step.reshape(shape)) + zero.reshape(shape), 0, CODES)
        return codes.astype(np.int32), zero.astype(np.int64), step.astype(np.float64)


def dynamic_layers(prepared: onnx.ModelProto, quantized: onnx.ModelProto) -> tuple[DynamicLayer, ...]:
    """Every Gemm and MatMul that runs on 8-bit activations and signed 8-bit weights, in the order of the graph.

    Args:
        prepared: the FP32 graph.
        quantized: what `quantize_dynamic` made of it. Its MatMulInteger nodes are named after the layers.
    """
    constants = {item.name: item for item in quantized.graph.initializer}
    products = {node.name: node for node in quantized.graph.node if node.op_type == "MatMulInteger"}
    found = []
    for node in prepared.graph.node:
        if node.op_type not in DYNAMIC_OPS:
            continue
        product = products.get(f"{node.name}_quant" if node.op_type == "MatMul" else f"{node.name}_MatMul_quant")
        if product is None or len(product.input) < 4 or not {product.input[1], product.input[3]} <= set(constants):
            continue
        weight, middle = (numpy_helper.to_array(constants[product.input[index]]) for index in (1, 3))
        if weight.dtype != np.int8 or weight.ndim != 2 or middle.any():
            continue
        scale = numpy_helper.to_array(constants[_scale(product.input[3])]).astype(np.float64).reshape(-1)
        layer = QuantizedLayer(
            node=node.name,
            values=node.input[0],
            shift=0,
            zero=0,
            weight=weight.T.astype(np.int32)[None],
            scale=np.broadcast_to(scale, (weight.shape[1],))[None],
            window=None,
        )
        found.append(DynamicLayer(layer, _coded(product.input[2], constants)))
    return tuple(found)


def _coded(zero: str, constants: dict[str, onnx.TensorProto]) -> tuple[float, int] | None:
    if zero not in constants:
        return None
    scale, middle = (numpy_helper.to_array(constants[name]).reshape(-1) for name in (_scale(zero), zero))
    return float(scale[0]), int(middle[0])


def _scale(zero_point: str) -> str:
    """The name that onnxruntime's quantizer gives to the scale beside a zero point."""
    return zero_point.removesuffix("_zero_point") + "_scale"
