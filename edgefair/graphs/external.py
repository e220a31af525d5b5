"""Weights of an ONNX model that lie in files beside it."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgefair.graphs.names import parts_of


def external_files(path: Path) -> tuple[Path, ...]:
    """The files beside an ONNX file that hold weights of it."""
    tensors: list[onnx.TensorProto] = []
    for part in parts_of(onnx.load_model(path, load_external_data=False)):
        tensors += part.initializer if isinstance(part, onnx.GraphProto) else ()
        for attribute in (attribute for node in part.node for attribute in node.attribute):
            tensors += (attribute.t, *attribute.tensors)
    entries = (entry for tensor in tensors for entry in tensor.external_data if entry.key == "location")
    return tuple(path.parent / location for location in sorted({entry.value for entry in entries}))
