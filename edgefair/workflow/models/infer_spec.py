"""A spec for model files that edgefair did not export."""

from __future__ import annotations

from typing import Any

from edgefair.data.dataset import DataSet
from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories
from edgefair.data.texts import Texts
from edgefair.errors import ModelError
from edgefair.probe.onnx_files.reading import whole_number
from edgefair.probe.onnx_files.spec import TEXT, Column, InputSpec, ModelSpec, PictureSpec, Reading
from edgefair.targets import LoadedModel
from edgefair.targets.binding import ORT_TYPES
from edgefair.training.settings import ModelConfig, OutputConfig

INTEGER = frozenset({"tensor(int64)", "tensor(int32)", "tensor(uint8)", "tensor(int8)", "tensor(bool)"})
TOKEN_INPUTS = {"input_ids": "ids", "attention_mask": "mask", "token_type_ids": "types"}
DTYPES = {ort: dtype for dtype, ort in ORT_TYPES.items()}


def foreign_spec(model: LoadedModel, data: DataSet, config: ModelConfig) -> ModelSpec:
    """How to feed and read a graph that says nothing of itself.

    Pictures fill its one input, scaled as `model.picture` says; texts its inputs `input_ids`, `attention_mask` and
    `token_type_ids`; a table one input per column where the inputs have the names of features, else its one input, in
    the order of the data (or of `data.features`). The output is read as `model.output` says; without that, only a
    reading that cannot be wrong is taken: whole numbers are labels, one column per class is decided by the largest.
    Labels are positions of classes, unless the classes are whole numbers themselves: then the config must say.

    Raises:
        ModelError: a graph or features for which the config must say more.
    """
    return ModelSpec(
        inputs=_inputs(model, data, config),
        reading=_reading(model, data.classes, config.output),
        classes=data.classes,
    )


def _inputs(model: LoadedModel, data: DataSet, config: ModelConfig) -> tuple[InputSpec, ...]:
    columns = next(iter(data.splits.values())).table.columns
    names = [item["name"] for item in model.inputs]
    only = columns[data.features[0]]
    if isinstance(only, Texts):
        return tuple(_tokens(model, item, data.features[0], only, config) for item in model.inputs)
    if len(names) > 1 and set(names) <= set(data.features):
        return tuple(_column(model, item, columns[item["name"]]) for item in model.inputs)
    if len(names) != 1:
        raise ModelError(
            f"'{model.path}' carries no edgefair spec and has {len(names)} inputs ({', '.join(names)})",
            expected="one input, inputs with the names of features, or a file that `edgefair export` wrote",
        )
    if isinstance(only, LazyColumn):
        return (_picture(model, model.inputs[0], data.features[0], config),)
    named = columns.get(names[0]) if names[0] in data.features else None
    if named is not None and (model.inputs[0]["type"] == ORT_TYPES[TEXT] or getattr(named, "ndim", 1) > 1):
        return (_column(model, model.inputs[0], columns[names[0]]),)
    return (_matrix(model, names[0], data),)


def _dtype(model: LoadedModel, item: dict[str, Any]) -> str:
    if item["type"] not in DTYPES:
        raise ModelError(
            f"input '{item['name']}' of '{model.path}' is {item['type']}", expected=f"one of {', '.join(DTYPES)}"
        )
    return DTYPES[item["type"]]


def _tokens(model: LoadedModel, item: dict[str, Any], column: str, texts: Texts, config: ModelConfig) -> InputSpec:
    part = TOKEN_INPUTS.get(item["name"])
    if part is None:
        raise ModelError(
            f"'{model.path}' has an input '{item['name']}', and the data holds texts",
            expected=f"inputs among {', '.join(TOKEN_INPUTS)}",
        )
    fixed = item["shape"][1] if len(item["shape"]) == 2 else None
    spec = texts.tokenizer.spec(column=column, part=part, length=fixed or config.text_length)
    return InputSpec(name=item["name"], dtype=_dtype(model, item), tokens=spec)


def _picture(model: LoadedModel, item: dict[str, Any], column: str, config: ModelConfig) -> InputSpec:
    """A picture input [rows, channels, height, width] or [rows, height, width, channels]."""
    if "picture" not in config.model_fields_set:
        raise ModelError(
            f"'{model.path}' carries no edgefair spec, and how pictures become its input is not specified",
            expected="the preprocessing it was trained with",
            fix="declare model.picture: height, width, mean and std (shorter or stretched, for a centre)",
        )
    picture, shape = config.picture, item["shape"]
    area = (picture.height, picture.width)
    layouts = {"nchw": (picture.channels, *area), "nhwc": (*area, picture.channels)}
    fits = [
        name
        for name, sizes in layouts.items()
        if len(shape) == 4 and all(a in {None, b} for a, b in zip(shape[1:], sizes, strict=True))
    ]
    if not fits:
        raise ModelError(
            f"input '{item['name']}' of '{model.path}' has shape {shape}",
            expected=f"[rows, {picture.channels}, {picture.height}, {picture.width}] or channels last",
            fix="declare the height, width and channels that the model takes under model.picture",
        )
    dtype = _dtype(model, item)
    mean, std = (None, None) if dtype == "uint8" else picture.scales()
    spec = PictureSpec(
        column=column,
        height=picture.height,
        width=picture.width,
        channels=picture.channels,
        resample=picture.resample,
        shorter=picture.shorter,
        stretched=picture.stretched,
        layout=fits[0],
        mean=mean,
        std=std,
    )
    return InputSpec(name=item["name"], dtype=dtype, picture=spec)


def _column(model: LoadedModel, item: dict[str, Any], column: Any) -> InputSpec:
    """An input with a feature's name: an array [rows, ...], or [rows, 1] of numbers or of text."""
    if getattr(column, "ndim", 1) > 1:
        return InputSpec(name=item["name"], dtype=_dtype(model, item), array=item["name"])
    text = isinstance(column, Categories)
    dtype = _dtype(model, item)
    if text != (dtype == TEXT):
        raise ModelError(
            f"input '{item['name']}' of '{model.path}' takes {'text' if dtype == TEXT else 'numbers'}, and the column "
            f"holds {'text' if text else 'numbers'}",
            fix="list columns of codes under data.categorical",
        )
    vocabulary = tuple(sorted(column.values)) if text else None
    return InputSpec(name=item["name"], dtype=dtype, columns=(Column(item["name"], vocabulary),))


def _matrix(model: LoadedModel, name: str, data: DataSet) -> InputSpec:
    dtype = _dtype(model, model.inputs[0])
    columns = next(iter(data.splits.values())).table.columns
    arrays = [feature for feature in data.features if getattr(columns[feature], "ndim", 1) > 1]
    if len(arrays) == 1 and len(data.features) == 1:
        return InputSpec(name=name, dtype=dtype, array=arrays[0])
    texts = [feature for feature in data.features if isinstance(columns[feature], Categories)]
    if texts or arrays:
        raise ModelError(
            f"'{model.path}' carries no edgefair spec, and feature '{(texts or arrays)[0]}' is not a column of numbers",
            expected="features that are all numbers, or one array",
            fix="name the columns that the model takes, in their order, under data.features",
        )
    return InputSpec(name=name, dtype=dtype, columns=tuple(Column(feature) for feature in data.features))


def _reading(model: LoadedModel, classes: tuple[str, ...], config: OutputConfig | None) -> Reading:
    by_name = {item["name"]: item for item in model.outputs}
    if not by_name:
        raise ModelError(f"'{model.path}' has no outputs", expected="an output to read decisions from")
    if config is not None:
        name = config.name or next(iter(by_name))
        if config.name is None and len(by_name) > 1:
            raise ModelError(f"'{model.path}' has outputs {', '.join(by_name)}", fix="specify which: model.output.name")
        values = _label_values(model, name, classes, config.values) if config.kind == "label" else None
        return Reading(output=name, kind=config.kind, threshold=config.threshold, values=values)
    if len(by_name) > 1:
        raise ModelError(
            f"'{model.path}' has outputs {', '.join(by_name)} and carries no edgefair spec",
            fix="specify which to read and how: model.output.name and model.output.kind",
        )
    name, item = next(iter(by_name.items()))
    if item["type"] in INTEGER:
        return Reading(output=name, kind="label", values=_label_values(model, name, classes, None))
    if len(item["shape"]) == 2 and item["shape"][1] == len(classes):
        return Reading(output=name, kind="logits")
    raise ModelError(
        f"output '{name}' of '{model.path}' is {item['type']} {item['shape']} for {len(classes)} classes: which "
        "is ambiguous",
        fix="specify what it holds: model.output.kind (logit, probability, ...) in the config",
    )


def _label_values(
    model: LoadedModel, name: str, classes: tuple[str, ...], said: str | tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """What a label output holds for each class; None for positions."""
    kind = next((item["type"] for item in model.outputs if item["name"] == name), None)
    if kind == "tensor(string)":
        raise ModelError(
            f"output '{name}' of '{model.path}' holds text, and devices return numbers only",
            fix="read another of its outputs (model.output.name), or convert the model with integer labels",
        )
    held = [whole_number(value) for value in classes]
    if said is None:
        if held == [*range(len(classes))] or not any(number is not None for number in held):
            return None
        raise ModelError(
            f"output '{name}' of '{model.path}' holds whole numbers, and the classes are whole numbers too: "
            f"{', '.join(classes)}",
            expected="a config that says whether they are the classes' values or positions (0 is the first class)",
            fix="set model.output: {name: NAME, kind: label, values: classes}, or `values: positions`".replace(
                "NAME", name
            ),
        )
    if said == "positions":
        return None
    values = classes if said == "classes" else tuple(said)
    numbers = [whole_number(value) for value in values]
    if None in numbers or len(numbers) != len(classes) or len(set(numbers)) != len(classes):
        raise ModelError(
            f"model.output.values gives {', '.join(values)} for the classes {', '.join(classes)}",
            expected="a different whole number for each class, in order",
            fix="list them: model.output.values: [1, 2, ...]",
        )
    return values
