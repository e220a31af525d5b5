"""Dynamic INT8, by onnxruntime's quantizer."""

from __future__ import annotations

import logging

import onnx

from edgefair.compress.quantization.prepare import (
    DYNAMIC,
    DYNAMIC_OPS,
    MARKS,
    check_quantizable,
    drop_unused_domains,
    dynamic_nodes,
    prepare_graph,
    unquantizable_nodes,
)
from edgefair.compress.quantization.rewrites.layer_norm import keep_sums_apart
from edgefair.compress.quantization.rewrites.stems import clear_stems, rename_values
from edgefair.errors import ModelError
from edgefair.exporters.checked import checked_model
from edgefair.exporters.conversion import first_line, quietly
from edgefair.graphs.metadata import take_metadata
from edgefair.graphs.quantized import is_quantized
from edgefair.scratch import work_folder


def quantize_dynamic(
    model: onnx.ModelProto, *, reduce_range: bool, float_nodes: frozenset[str] = frozenset()
) -> onnx.ModelProto:
    """FP32 graph -> INT8 weights (embeddings too), with activations quantized while it runs, by their own range.

    Needs no calibration rows. The range is taken over a whole batch, so rows of a batch change each other: such a model
    is measured one row at a time.

    Args:
        model: a checked FP32 model, prepared or not.
        reduce_range: 7-bit weights, for processors whose INT8 kernels saturate 16-bit sums (x86 without VNNI).
        float_nodes: names of the prepared graph's nodes that stay in float.

    Raises:
        ModelError: nothing to quantize, or the quantizer fails.
    """
    check_quantizable(model, DYNAMIC)
    from onnxruntime import quantization as ort_quantization

    logging.getLogger("onnxruntime").setLevel(logging.ERROR)
    with work_folder() as folder:
        source, target = folder / "prepared.onnx", folder / "int8.onnx"
        prepared = onnx.ModelProto()
        prepared.CopyFrom(prepare_graph(model))
        left = float_nodes | unquantizable_nodes(prepared).keys()
        renamed = clear_stems(prepared, frozenset(dynamic_nodes(prepared)))
        onnx.save_model(prepared, source)
        try:
            with quietly():
                ort_quantization.quantize_dynamic(
                    str(source),
                    str(target),
                    op_types_to_quantize=list(DYNAMIC_OPS),
                    # The quantizer first makes a MatMul of every Gemm, under a name of its own.
                    nodes_to_exclude=sorted(left | {f"{name}_MatMul" for name in left}),
                    per_channel=True,
                    reduce_range=reduce_range,
                    weight_type=ort_quantization.QuantType.QInt8,
                )
            result = onnx.load_model(target)
        except Exception as error:
            raise ModelError(f"INT8 quantization failed: {first_line(error)}") from error
    ends = {item.name for item in (*result.graph.input, *result.graph.output)}
    rename_values(result, {new: old for new, old in renamed.items() if new in ends})
    if not any(is_quantized(node) for node in result.graph.node):
        raise ModelError("the quantizer left the graph unchanged", expected="nodes with 8-bit weights")
    take_metadata(result, model, without=MARKS)
    drop_unused_domains(result)
    keep_sums_apart(result)
    return checked_model(result)
