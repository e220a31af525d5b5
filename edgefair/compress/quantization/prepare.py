"""The graph that quantization works on: shapes known, constants folded, normalizations fused, every node named."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper

from edgefair.compress.quantization.rewrites.depthwise import widen_depthwise
from edgefair.compress.quantization.rewrites.gemm import without_factors
from edgefair.compress.quantization.rewrites.pads import fold_pads
from edgefair.compress.quantization.rewrites.pools import write_global_pools
from edgefair.errors import ModelError
from edgefair.exporters.checked import checked_model
from edgefair.exporters.conversion import first_line, quietly
from edgefair.graphs.byte_casts import widen_byte_casts
from edgefair.graphs.metadata import take_metadata
from edgefair.graphs.names import Names
from edgefair.graphs.quantized import is_quantized
from edgefair.progress import timed
from edgefair.scratch import work_folder

# Everything else (scaling, one-hot, softmax, the decision) costs little and would lose precision for nothing.
STATIC_OPS = ("Conv", "Gemm", "MatMul")
# An embedding is a Gather, and most of the bytes of a small model of texts.
DYNAMIC_OPS = ("MatMul", "Gemm", "Gather")
# A smaller table is not worth the nodes that decode it.
TABLE = 1 << 16
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
# Left in a prepared graph's metadata, and removed with the quantizer's own marks once it is quantized.
PREPARED = "edgefair.prepared"
MARKS = frozenset({PREPARED, "onnx.infer", "onnx.quant.pre_process"})


@dataclass(frozen=True)
class Needs:
    """What a graph must have to become INT8.

    Attributes:
        name: of this kind of INT8.
        opset: the oldest.
        operators: one of these.
        lacking: what is said of a graph without one.
        fix: what helps it.
    """

    name: str
    opset: int
    operators: tuple[str, ...]
    lacking: str
    fix: str


# Per-channel scales entered QuantizeLinear with opset 13, DynamicQuantizeLinear came with 11.
STATIC = Needs("static INT8", 13, STATIC_OPS, "the graph has nothing to quantize", "omit --int8")
DYNAMIC = Needs(
    "dynamic INT8",
    11,
    DYNAMIC_OPS,
    "the graph has nothing to quantize dynamically",
    "convolutions are quantized by --int8 static",
)


def check_quantizable(model: onnx.ModelProto, needs: Needs) -> None:
    """Refuse what cannot become INT8, at no cost.

    Raises:
        ModelError: quantized already; control flow; operators of a custom domain; several versions of one opset, or a
            version without the operators that are needed; nothing to quantize.
    """
    _check_nodes(model)
    _check_opset(model, needs.opset, needs.name)
    if not any(node.op_type in needs.operators for node in _inlined(model).graph.node):
        raise ModelError(needs.lacking, expected=f"at least one of {', '.join(needs.operators)}", fix=needs.fix)


def check_batches(model: onnx.ModelProto) -> None:
    """Refuse a graph for one row at a time, whose ranges cannot be observed on batches of calibration rows."""
    for item in model.graph.input:
        dims = item.type.tensor_type.shape.dim
        if dims and dims[0].dim_value == 1:
            raise ModelError(
                f"input '{item.name}' takes exactly 1 row at a time, and static INT8 is calibrated on batches",
                expected="a dynamic first dimension",
                fix="export it with a dynamic batch; without one it can be verified, and exported without --int8",
            )


def _check_nodes(model: onnx.ModelProto) -> None:
    for node in _inlined(model).graph.node:
        if is_quantized(node):
            raise ModelError(
                f"the graph is already quantized: node '{node.name}' is a {node.op_type}",
                expected="an FP32 graph",
                fix="start from the model it was made from, or omit --int8 and --fp16",
            )
        if node.op_type in CONTROL_FLOW:
            raise ModelError(
                f"the graph has control flow: node '{node.name}' is an {node.op_type}",
                expected="a graph without data-dependent control flow",
                fix="export the network without branches and loops, or omit --int8 and --fp16",
            )
        if node.domain not in DOMAINS:
            raise ModelError(
                f"node '{node.name}' is the custom operator {node.domain}.{node.op_type}",
                expected=f"operators of {', '.join(sorted(name or 'ai.onnx' for name in DOMAINS - {'ai.onnx'}))}",
                fix="export it in terms of ONNX operators, or omit --int8 and --fp16",
            )


def _check_opset(model: onnx.ModelProto, oldest: int, needed_by: str) -> None:
    versions = sorted({item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}})
    if len(versions) != 1:
        raise ModelError(
            f"the graph mixes the opsets {', '.join(map(str, versions)) or 'of no ONNX domain'}",
            expected="one version of ONNX's operators",
            fix="convert it to one version (onnx.version_converter)",
        )
    if versions[0] < oldest:
        raise ModelError(
            f"the graph has opset {versions[0]}",
            expected=f"opset {oldest} or newer, as {needed_by} needs",
            fix="export it again with a newer opset, or convert it (onnx.version_converter)",
        )


@timed("preparing the graph")
def prepare_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Infer shapes, fold constants, factors and batch normalizations; name every node; twice is as good as once.

    Equal models give equal graphs, so node names can be stored and used again.

    Raises:
        ModelError: quantized already, control flow, a custom domain, mixed or old opsets, no layer that low precision
            would make cheaper, or no optimizer leaves a valid graph.
    """
    if any(item.key == PREPARED for item in model.metadata_props):
        return model
    _check_nodes(model)
    _check_opset(model, DYNAMIC.opset, "low precision")
    if not any(node.op_type in {*STATIC_OPS, *DYNAMIC_OPS} for node in _inlined(model).graph.node):
        check_quantizable(model, STATIC)
    prepared = _optimized(_inlined(model))
    drop_unused_domains(prepared)
    _forget_shapes_of_constants(prepared.graph)
    without_factors(prepared)
    fold_pads(prepared)
    write_global_pools(prepared)
    widen_depthwise(prepared)
    # onnxruntime's optimizer has joined them.
    widen_byte_casts(prepared)
    _name_nodes(prepared)
    take_metadata(prepared, model, without=MARKS)
    for key in sorted(MARKS):
        prepared.metadata_props.add(key=key, value="onnxruntime.quant")
    return checked_model(prepared)


def quantizable_nodes(prepared: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the Conv, Gemm and MatMul nodes with a constant weight that has codes, in graph order."""
    return tuple(name for name, lacking in _layers(prepared).items() if lacking is None)


def unquantizable_nodes(prepared: onnx.ModelProto) -> dict[str, str]:
    """Name of each Conv, Gemm and MatMul node with a constant weight that has no codes -> why, in words."""
    return {name: lacking for name, lacking in _layers(prepared).items() if lacking is not None}


def _layers(prepared: onnx.ModelProto) -> dict[str, str | None]:
    """Name of each node with a constant weight -> what keeps it in float, if anything."""
    constant = {item.name: item for item in prepared.graph.initializer}
    return {
        node.name: _lacking(node, constant)
        for node in prepared.graph.node
        if node.op_type in STATIC_OPS and weight_name(node) in constant
    }


def _lacking(node: onnx.NodeProto, constant: Mapping[str, onnx.TensorProto]) -> str | None:
    weight = constant[weight_name(node)]
    if weight.data_type != onnx.TensorProto.FLOAT:
        return f"its weight is {onnx.TensorProto.DataType.Name(weight.data_type).lower()}"
    if node.op_type == "MatMul" and len(weight.dims) != 2:
        # onnxruntime's integer kernels take no vector, and of several matrices no scale for each column.
        return f"its weight has {len(weight.dims)} dimension{'s' * (len(weight.dims) > 1)}"
    bias = constant.get(node.input[2]) if len(node.input) > 2 else None
    if bias is not None and math.prod(bias.dims) > (bias.dims[-1] if bias.dims else 1):
        # onnxruntime would quantize it by itself.
        return "its bias has several rows"
    if 0 in weight.dims:
        return "its weight is empty"
    return None if np.isfinite(numpy_helper.to_array(weight)).all() else "its weight is not finite"


def embedding_nodes(prepared: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the Gather nodes that look up rows of a constant FP32 table of TABLE numbers or more, in graph order."""
    tables = {
        item.name
        for item in prepared.graph.initializer
        if item.data_type == onnx.TensorProto.FLOAT and len(item.dims) == 2 and math.prod(item.dims) >= TABLE
    }
    return tuple(
        node.name
        for node in prepared.graph.node
        if node.op_type == "Gather"
        and node.input[0] in tables
        and not any(item.name == "axis" and item.i for item in node.attribute)
    )


def dynamic_nodes(prepared: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the Gemm, MatMul and Gather nodes with a constant weight or table that has codes, in graph order."""
    constant = {item.name for item in prepared.graph.initializer if item.data_type == onnx.TensorProto.FLOAT}
    left = unquantizable_nodes(prepared)
    return tuple(
        node.name
        for node in prepared.graph.node
        if node.op_type in DYNAMIC_OPS and weight_name(node) in constant and node.name not in left
    )


def weight_name(node: onnx.NodeProto) -> str:
    """The input of a Conv, Gemm or MatMul that holds its weight, or of a Gather its table."""
    return str(node.input[0 if node.op_type == "Gather" else 1])


def drop_unused_domains(model: onnx.ModelProto) -> None:
    """Forget the opsets that onnxruntime's optimizer imports without using: other runtimes refuse them."""
    used = {node.domain for node in model.graph.node} | {""}
    kept = [helper.make_opsetid(item.domain, item.version) for item in model.opset_import if item.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without functions of its own: their nodes in their place."""
    return inliner.inline_local_functions(model) if model.functions else model


def _optimized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Shape inference and graph optimization, with less where more fails on this graph.

    quant_pre_process reports some failures only in its log, so the file that it leaves is what is believed.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    failure: Exception | None = None
    _load_shape_inference()
    logging.getLogger("onnxruntime").setLevel(logging.ERROR)
    with work_folder() as folder:
        source, target = folder / "fp32.onnx", folder / "prepared.onnx"
        onnx.save_model(model, source)
        for skip in ({}, {"skip_symbolic_shape": True}, {"skip_symbolic_shape": True, "skip_optimization": True}):
            target.unlink(missing_ok=True)
            try:
                # Where it cannot infer every shape, it leaves a file in the current folder.
                with quietly(), contextlib.chdir(folder):
                    quant_pre_process(str(source), str(target), **skip)
                result = onnx.load_model(target)
                onnx.checker.check_model(result)
                return result
            except Exception as error:
                failure = error
    raise ModelError(f"the graph cannot be prepared for quantization: {first_line(failure or ValueError())}")


def _load_shape_inference() -> None:
    """Load the part of onnxruntime's tools that infers shapes as the package itself would, but for PyTorch.

    Wherever PyTorch is installed, the package loads it, for a tool of its own; that takes longer than a small graph.
    """
    package = "onnxruntime.tools"
    spec = None if {package, "torch"} & sys.modules.keys() else importlib.util.find_spec(package)
    if spec is None:
        return
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        importlib.import_module(f"{package}.symbolic_shape_infer")
    except ImportError:
        pass  # quant_pre_process says what it lacks
    finally:
        del sys.modules[package]


def _forget_shapes_of_constants(graph: onnx.GraphProto) -> None:
    """A constant has its shape; one that is told beside it is wrong as soon as a weight is transposed."""
    constant = {item.name for item in graph.initializer}
    kept = [item for item in graph.value_info if item.name not in constant]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def _name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a name of its own: the one it has, if no other node has it, else operator and number."""
    uses = Counter(node.name for node in model.graph.node)
    names = Names(uses)
    for node in model.graph.node:
        if not node.name or uses[node.name] > 1:
            node.name = names.numbered(node.op_type)
