"""Read and check an ONNX model: the only way a graph enters the export."""

from __future__ import annotations

import operator
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from edgefair.errors import ModelError
from edgefair.graphs.finite_weights import broken_weight
from edgefair.graphs.names import parts_of
from edgefair.probe.regular import open_regular

# Of an error of the libraries.
SHOWN = 300
# What the domains begin with whose operators onnxruntime brings along.
SHIPPED = ("ai.onnx", "com.microsoft", "com.ms.internal")


def checked_model(model: onnx.ModelProto, *, opset: int | None = None) -> onnx.ModelProto:
    """The model after onnx's own full check.

    Raises:
        ModelError: an invalid graph, or not the opset that was asked for (exporters may fall back silently).
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise ModelError(f"the ONNX graph is not valid: {' '.join(str(error).split())[:SHOWN]}") from error
    found = next((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), None)
    if opset is not None and found != opset:
        raise ModelError(f"the exporter wrote opset {found}", expected=f"opset {opset}")
    return model


def read_model(path: Path) -> onnx.ModelProto:
    """Read and check an ONNX file. Weights that are inputs too, as old exporters write them, become constants.

    Raises:
        ModelError: missing, empty, truncated, not ONNX, or not valid.
    """
    try:
        with open_regular(path) as stream:
            empty = not stream.read(1)
        if empty:
            raise ModelError(f"'{path}' is empty", expected="an ONNX file")
        model = onnx.load_model(path)
    except FileNotFoundError as error:
        raise ModelError(f"no file '{path}'", expected="an ONNX file") from error
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"'{path}' is not a readable ONNX file: {' '.join(str(error).split())[:SHOWN]}",
            fix="export or copy it again",
        ) from error
    weights = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    _check_runnable(checked_model(model), path)
    return model


def _check_runnable(model: onnx.ModelProto, path: Path) -> None:
    """Refuse what onnx lets through and onnxruntime loads nowhere.

    Raises:
        ModelError: two nodes of one name, a batch normalization in training mode, an operator that nobody but its
            author has, or a weight that makes every answer NaN.
    """
    names = Counter(node.name for node in model.graph.node if node.name)
    name, uses = max(names.items(), key=operator.itemgetter(1), default=("", 0))
    if uses > 1 and not _loads(model):
        raise ModelError(
            f"'{path}' has {uses} nodes with the name '{name}', which onnxruntime does not load",
            expected="a unique name for every node, or none",
            fix="rename them, or clear the names (node.name = '') and save the model again",
        )
    own = {(item.domain, item.name) for item in model.functions}
    for node in (node for part in parts_of(model) for node in part.node):
        trains = any(item.name == "training_mode" and item.i for item in node.attribute)
        if node.op_type == "BatchNormalization" and trains:
            raise ModelError(
                f"BatchNormalization '{node.name}' of '{path}' is in training mode: it reads the statistics of a batch",
                expected="the statistics of training, so that a row is decided alike in every batch",
                fix="export the network after .eval()",
            )
        if node.domain and not node.domain.startswith(SHIPPED) and (node.domain, node.op_type) not in own:
            raise ModelError(
                f"node '{node.name}' of '{path}' is the custom operator {node.domain}.{node.op_type}, which "
                "onnxruntime does not have",
                expected="operators of ai.onnx, ai.onnx.ml and com.microsoft, or functions inside the file",
                fix="export it in terms of ONNX operators",
            )
    broken = broken_weight(model)
    if broken is not None:
        raise ModelError(
            f"'{path}' cannot decide: {broken}",
            expected="finite weights",
            fix="export the model of a step before training diverged",
        )


def _loads(model: onnx.ModelProto) -> bool:
    """Whether onnxruntime loads a graph: of nodes that share a name it takes some, such as constants."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:
        return False
    return True


def drop_traces(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes on every node and value: they hold paths of the machine that exported.

    Without them equal models are equal files.
    """
    graph = model.graph
    parts: list[Any] = [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for item in parts:
        del item.metadata_props[:]
        item.doc_string = ""
