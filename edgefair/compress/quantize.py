"""INT8 by onnxruntime's quantizer: static in QDQ form, and dynamic."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.recipe import CalibrationRecipe
from edgefair.errors import ModelError
from edgefair.exporters.checked import checked_model

# Everything else (scaling, one-hot, softmax, the decision) costs little and would lose precision for nothing.
QUANTIZED_OPS = ("Conv", "Gemm", "MatMul")
# An embedding is a Gather, and most of the bytes of a small model of texts.
DYNAMIC_OPS = ("MatMul", "Gemm", "Gather")


def quantize_static(
    model: onnx.ModelProto,
    batches: Iterable[dict[str, NDArray[Any]]],
    recipe: CalibrationRecipe,
    *,
    reduce_range: bool,
) -> onnx.ModelProto:
    """FP32 graph -> the same graph with INT8 weights and QDQ pairs around its quantized operators.

    Args:
        model: a checked FP32 model.
        batches: calibration rows as graph inputs, streamed once.
        recipe: types, granularity and calibration method.
        reduce_range: 7-bit weights, for processors whose INT8 kernels saturate 16-bit sums (x86 without VNNI).

    Raises:
        ModelError: nothing to quantize, or the quantizer fails.
    """
    if not any(node.op_type in QUANTIZED_OPS for node in model.graph.node):
        raise ModelError(
            "the graph has nothing to quantize",
            expected=f"at least one of {', '.join(QUANTIZED_OPS)}",
            fix="check that the model is not quantized already",
        )
    from onnxruntime import quantization as ort_quantization

    types = {"uint8": ort_quantization.QuantType.QUInt8, "int8": ort_quantization.QuantType.QInt8}
    logging.getLogger("onnxruntime").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="edgefair-int8-") as folder:
        source, prepared, quantized = (Path(folder) / name for name in ("fp32.onnx", "prepared.onnx", "int8.onnx"))
        onnx.save_model(model, source)
        try:
            _prepare(source, prepared)
            ort_quantization.quantize_static(
                str(prepared),
                str(quantized),
                _reader(ort_quantization.CalibrationDataReader, batches),
                quant_format=ort_quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTIZED_OPS),
                per_channel=recipe.weights == "per-channel",
                reduce_range=reduce_range,
                activation_type=types[recipe.activations],
                weight_type=ort_quantization.QuantType.QInt8,
                calibrate_method=ort_quantization.CalibrationMethod.MinMax,
            )
        except (ModelError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise ModelError(f"INT8 quantization failed: {str(error).splitlines()[0]}") from error
        result = onnx.load_model(quantized)
    return _finished(result, model, "QuantizeLinear")


def quantize_dynamic(model: onnx.ModelProto, *, reduce_range: bool) -> onnx.ModelProto:
    """FP32 graph -> INT8 weights (embeddings too), with activations quantized while it runs, by their own range.

    Needs no calibration rows. The range is taken over a whole batch, so rows of a batch change each other: such a model
    is measured one row at a time.

    Args:
        model: a checked FP32 model.
        reduce_range: 7-bit weights, for processors whose INT8 kernels saturate 16-bit sums (x86 without VNNI).

    Raises:
        ModelError: nothing to quantize, or the quantizer fails.
    """
    if not any(node.op_type in DYNAMIC_OPS for node in model.graph.node):
        raise ModelError(
            "the graph has nothing to quantize dynamically",
            expected=f"at least one of {', '.join(DYNAMIC_OPS)}",
            fix="convolutions are quantized by --int8 static",
        )
    from onnxruntime import quantization as ort_quantization

    logging.getLogger("onnxruntime").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="edgefair-int8-") as folder:
        source, prepared, quantized = (Path(folder) / name for name in ("fp32.onnx", "prepared.onnx", "int8.onnx"))
        onnx.save_model(model, source)
        try:
            _prepare(source, prepared)
            ort_quantization.quantize_dynamic(
                str(prepared),
                str(quantized),
                op_types_to_quantize=list(DYNAMIC_OPS),
                per_channel=True,
                reduce_range=reduce_range,
                weight_type=ort_quantization.QuantType.QInt8,
            )
        except (ModelError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise ModelError(f"INT8 quantization failed: {str(error).splitlines()[0]}") from error
        result = onnx.load_model(quantized)
    return _finished(result, model, "DynamicQuantizeLinear")


def _finished(result: onnx.ModelProto, model: onnx.ModelProto, mark: str) -> onnx.ModelProto:
    """The quantizer's graph, checked, with the metadata of the model that it was made from."""
    if not any(node.op_type == mark for node in result.graph.node):
        raise ModelError("the quantizer left the graph as it was", expected=f"{mark} nodes")
    del result.metadata_props[:]
    result.metadata_props.extend(model.metadata_props)
    _drop_unused_domains(result)
    return checked_model(result)


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    """Forget the opsets that onnxruntime's optimizer imports without using: other runtimes refuse them."""
    used = {node.domain for node in model.graph.node}
    kept = [item for item in model.opset_import if item.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _prepare(source: Path, prepared: Path) -> None:
    """Shape inference and graph optimization before quantization, with less where more fails on this graph.

    quant_pre_process reports some failures only in its log, so the file that it leaves is what is believed.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    failure: Exception | None = None
    for skip in ({}, {"skip_symbolic_shape": True}, {"skip_symbolic_shape": True, "skip_optimization": True}):
        prepared.unlink(missing_ok=True)
        try:
            quant_pre_process(str(source), str(prepared), **skip)
            onnx.checker.check_model(str(prepared))
            return
        except Exception as error:
            failure = error
    raise ModelError(f"the graph cannot be prepared for quantization: {failure}")


def _reader(base: type, batches: Iterable[dict[str, NDArray[Any]]]) -> Any:
    class Reader(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest: Iterator[dict[str, NDArray[Any]]] = iter(batches)

        def get_next(self) -> dict[str, NDArray[np.generic]] | None:
            return next(self.rest, None)

    return Reader()
