"""Does a model's graph fit its spec?"""

from __future__ import annotations

from collections.abc import Sequence

from edgefair.errors import ModelError
from edgefair.probe.onnx_files.spec import TEXT, ModelSpec
from edgefair.targets.loaded import NUMPY_TYPES, LoadedModel, describe, shape_text

# Types into which features are encoded without a surprise, with the runtime's names.
INPUT_TYPES = frozenset({"float32", "float64", "float16", "int64", "int32", "uint8"})
ORT_TYPES = {**{name: ort for ort, name in NUMPY_TYPES.items() if name in INPUT_TYPES}, TEXT: "tensor(string)"}


def check_binding(model: LoadedModel, spec: ModelSpec) -> None:
    """Compare names, types and shapes of the graph's inputs and outputs with the spec.

    Raises:
        ModelError: the first thing that does not fit, with what was found and expected.
    """
    graph = {item["name"]: item for item in model.inputs}
    for item in spec.inputs:
        if item.name not in graph:
            raise ModelError(
                f"'{model.path}' has no input '{item.name}'", expected=f"its inputs: {describe(model.inputs)}"
            )
        found = graph.pop(item.name)
        if found["type"] != ORT_TYPES.get(item.dtype):
            raise ModelError(
                f"input '{item.name}' of '{model.path}' is {found['type']}",
                expected=f"{item.dtype} ({ORT_TYPES.get(item.dtype)})",
            )
        shape = found["shape"]
        if item.row_shape is not None and not _takes(shape, item.row_shape):
            raise ModelError(
                f"input '{item.name}' of '{model.path}' has shape {shape_text(shape)}",
                expected=f"[rows, {', '.join(str(size) for size in item.row_shape)}]"
                + (", one column per feature" if item.columns else ""),
            )
        if shape and shape[0] not in {None, 1}:
            raise ModelError(
                f"input '{item.name}' of '{model.path}' takes exactly {shape[0]} rows at a time",
                expected="a dynamic first dimension, or one row",
                fix="export it with a dynamic batch",
            )
    if graph:
        raise ModelError(
            f"'{model.path}' also needs input {', '.join(graph)}", expected="only inputs that the spec fills"
        )
    model.output_types([name for name in (spec.reading.output, spec.reading.score) if name is not None])


def _takes(shape: Sequence[int | None], row_shape: tuple[int, ...]) -> bool:
    """Whether an input of this shape takes such rows; None is any size."""
    return len(shape) == 1 + len(row_shape) and all(
        size in {None, wanted} for size, wanted in zip(shape[1:], row_shape, strict=True)
    )
