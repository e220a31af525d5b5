"""Whether a graph was quantized by somebody."""

from __future__ import annotations

import onnx

# Operators that work on codes of few bits, beside those named QLinear... and ...Integer.
# https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md and the ONNX operators.
QUANTIZED = frozenset(
    {
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeMatMul",
        "GatherBlockQuantized",
        "MatMulBnb4",
        "MatMulFpQ4",
        "MatMulInteger16",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QAttention",
        "QEmbedLayerNormalization",
        "QGemm",
        "QMoE",
        "QOrderedMatMul",
        "QuantizeLinear",
    }
)


def is_quantized(node: onnx.NodeProto) -> bool:
    """Whether a node works on codes of few bits: whoever wrote it compressed something."""
    return node.op_type in QUANTIZED or node.op_type.startswith("QLinear") or node.op_type.endswith("Integer")
