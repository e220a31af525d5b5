"""Read, check and mark an ONNX model: the only way a graph enters the export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from edgefair.errors import ModelError
from edgefair.probe.spec import SPEC_METADATA_KEY, ModelSpec


def checked_model(model: onnx.ModelProto, *, opset: int | None = None) -> onnx.ModelProto:
    """The model after onnx's own full check.

    Raises:
        ModelError: an invalid graph, or not the opset that was asked for (exporters may fall back silently).
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise ModelError(f"the ONNX graph is not valid: {str(error).splitlines()[0]}") from error
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
        if path.stat().st_size == 0:
            raise ModelError(f"'{path}' is empty", expected="an ONNX file")
        model = onnx.load_model(path)
    except FileNotFoundError as error:
        raise ModelError(f"no file '{path}'", expected="an ONNX file") from error
    except (DecodeError, OSError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"'{path}' is not a readable ONNX file: {str(error).splitlines()[0]}", fix="export or copy it again"
        ) from error
    weights = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return checked_model(model)


def drop_traces(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes on every node and value: they hold paths of the machine that exported.

    Without them equal models are equal files.
    """
    graph = model.graph
    parts: list[Any] = [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for item in parts:
        del item.metadata_props[:]
        item.doc_string = ""


def set_spec(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Write the spec into the model's metadata, replacing an older one."""
    kept = [item for item in model.metadata_props if item.key != SPEC_METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=SPEC_METADATA_KEY, value=spec.to_json())
