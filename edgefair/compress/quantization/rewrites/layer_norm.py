"""Sums that feed a layer normalization, written so that onnxruntime's processor kernels run them fast."""

from __future__ import annotations

from collections import Counter

import onnx


def keep_sums_apart(model: onnx.ModelProto) -> None:
    """Make a two-term Sum of every Add that only a LayerNormalization reads; the values stay the same.

    onnxruntime fuses Add and LayerNormalization to SkipLayerNormalization, whose kernel for processors is not
    vectorized: on 128 tokens of width 768 it takes 0.49 ms where Sum and LayerNormalization take 0.08 ms
    (onnxruntime 1.32, AVX512). A residual that the next layer reads too is not fused, and stays an Add.
    """
    uses = Counter(name for node in model.graph.node for name in node.input)
    uses.update(item.name for item in model.graph.output)
    normalized = {node.input[0] for node in model.graph.node if node.op_type == "LayerNormalization"}
    for node in model.graph.node:
        if node.op_type == "Add" and node.output[0] in normalized and uses[node.output[0]] == 1:
            node.op_type = "Sum"
