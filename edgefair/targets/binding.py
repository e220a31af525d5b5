"""Does a model's graph fit its spec?"""

from __future__ import annotations

from typing import Any

from edgefair.errors import ModelError
from edgefair.probe.spec import ModelSpec
from edgefair.targets.client import LoadedModel

ORT_TYPES = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "float16": "tensor(float16)",
    "int64": "tensor(int64)",
    "int32": "tensor(int32)",
    "uint8": "tensor(uint8)",
}


def check_binding(model: LoadedModel, spec: ModelSpec) -> None:
    """Compare names, types and shapes of the graph's inputs and outputs with the spec.

    Raises:
        ModelError: the first thing that does not fit, with what was found and expected.
    """
    graph = {item["name"]: item for item in model.inputs}
    for item in spec.inputs:
        if item.name not in graph:
            raise ModelError(
                f"'{model.path}' has no input '{item.name}'", expected=f"its inputs: {_names(model.inputs)}"
            )
        found = graph.pop(item.name)
        if found["type"] != ORT_TYPES.get(item.dtype):
            raise ModelError(
                f"input '{item.name}' of '{model.path}' is {found['type']}",
                expected=f"{item.dtype} ({ORT_TYPES.get(item.dtype)})",
            )
        shape = found["shape"]
        if item.columns and (len(shape) != 2 or shape[1] not in {None, len(item.columns)}):
            raise ModelError(
                f"input '{item.name}' of '{model.path}' has shape {_shape(shape)}",
                expected=f"[rows, {len(item.columns)}], one column per feature",
            )
        if shape and shape[0] not in {None}:
            raise ModelError(
                f"input '{item.name}' of '{model.path}' takes exactly {shape[0]} rows at a time",
                expected="a dynamic first dimension",
                fix="export it with a dynamic batch",
            )
    if graph:
        raise ModelError(
            f"'{model.path}' also needs input {', '.join(graph)}", expected="only inputs that the spec fills"
        )
    outputs = {item["name"] for item in model.outputs}
    for name in (spec.reading.output, spec.reading.score):
        if name is not None and name not in outputs:
            raise ModelError(f"'{model.path}' has no output '{name}'", expected=f"its outputs: {_names(model.outputs)}")


def _names(items: tuple[dict[str, Any], ...]) -> str:
    return ", ".join(f"{item['name']} {item['type']} {_shape(item['shape'])}" for item in items)


def _shape(shape: list[int | None]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
