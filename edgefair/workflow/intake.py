"""A spec for model files that edgefair did not export."""

from __future__ import annotations

from edgefair.data.dataset import DataSet
from edgefair.data.table import Categories
from edgefair.errors import ModelError
from edgefair.probe.spec import Column, InputSpec, ModelSpec, Reading
from edgefair.targets import LoadedModel
from edgefair.targets.binding import ORT_TYPES
from edgefair.training.settings import OutputConfig

INTEGER = frozenset({"tensor(int64)", "tensor(int32)", "tensor(uint8)", "tensor(int8)", "tensor(bool)"})
DTYPES = {ort: dtype for dtype, ort in ORT_TYPES.items()}


def foreign_spec(model: LoadedModel, data: DataSet, output: OutputConfig | None) -> ModelSpec:
    """How to feed and read a graph with one input.

    The input takes the features in the order of the data (or of `data.features`): numbers as columns, or one array. The
    output is read as the config says; without that, only a reading that cannot be wrong is taken: whole numbers are
    labels, one column per class is decided by the largest.

    Raises:
        ModelError: a graph or features for which the config must say more.
    """
    if len(model.inputs) != 1:
        names = ", ".join(item["name"] for item in model.inputs)
        raise ModelError(
            f"'{model.path}' carries no edgefair spec and has {len(model.inputs)} inputs ({names})",
            expected="one input, or a file that `edgefair export` wrote",
        )
    graph_input = model.inputs[0]
    return ModelSpec(
        inputs=(_input(model, graph_input["name"], graph_input["type"], data),),
        reading=_reading(model, len(data.classes), output),
        classes=data.classes,
    )


def _input(model: LoadedModel, name: str, ort_type: str, data: DataSet) -> InputSpec:
    if ort_type not in DTYPES:
        raise ModelError(f"input '{name}' of '{model.path}' is {ort_type}", expected=f"one of {', '.join(DTYPES)}")
    columns = next(iter(data.splits.values())).table.columns
    arrays = [feature for feature in data.features if getattr(columns[feature], "ndim", 1) > 1]
    if len(arrays) == 1 and len(data.features) == 1:
        return InputSpec(name=name, dtype=DTYPES[ort_type], array=arrays[0])
    texts = [feature for feature in data.features if isinstance(columns[feature], Categories)]
    if texts or arrays:
        raise ModelError(
            f"'{model.path}' carries no edgefair spec, and feature '{(texts or arrays)[0]}' is not a column of numbers",
            expected="features that are all numbers, or one array",
            fix="name the columns that the model takes, in their order, under data.features",
        )
    return InputSpec(name=name, dtype=DTYPES[ort_type], columns=tuple(Column(feature) for feature in data.features))


def _reading(model: LoadedModel, classes: int, config: OutputConfig | None) -> Reading:
    by_name = {item["name"]: item for item in model.outputs}
    if config is not None:
        name = config.name or next(iter(by_name))
        if config.name is None and len(by_name) > 1:
            raise ModelError(f"'{model.path}' has outputs {', '.join(by_name)}", fix="say which: model.output.name")
        return Reading(output=name, kind=config.kind, threshold=config.threshold)
    if len(by_name) > 1:
        raise ModelError(
            f"'{model.path}' has outputs {', '.join(by_name)} and carries no edgefair spec",
            fix="say which to read and how: model.output.name and model.output.kind",
        )
    name, item = next(iter(by_name.items()))
    if item["type"] in INTEGER:
        return Reading(output=name, kind="label")
    if len(item["shape"]) == 2 and item["shape"][1] == classes:
        return Reading(output=name, kind="logits")
    raise ModelError(
        f"output '{name}' of '{model.path}' is {item['type']} {item['shape']} for {classes} classes: it could be read "
        "in more than one way",
        fix="say what it holds: model.output.kind (logit, probability, ...) in the config",
    )
