"""Specs read back, and refused where no model can be fed and read as they say."""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence

from edgefair.probe.onnx_files.reading import KINDS, whole_number
from edgefair.probe.onnx_files.spec import (
    CATEGORY,
    PARTS,
    RESAMPLE,
    SPEC_SCHEMA,
    STAND_INS,
    TEXT,
    Column,
    InputSpec,
    ModelSpec,
    PictureSpec,
    Reading,
    TokenSpec,
)
from edgefair.probe.onnx_files.typed import typed
from edgefair.probe.wire import DTYPES

LAYOUTS = ("nhwc", "nchw")
# Of a side of a picture in pixels, and of a text in tokens: what a wrong number may cost in memory.
LONGEST_SIDE, LONGEST_TEXT, LARGEST_VOCABULARY = 1 << 14, 1 << 20, 1 << 31


def spec_from_json(text: str) -> ModelSpec:
    """Read back what `ModelSpec.to_json` wrote.

    Raises:
        ValueError: not JSON, another schema, a field missing, unknown or of another type, or a model that there cannot
            be.
    """
    try:
        data = json.loads(text)
        if not isinstance(data, dict) or data.pop("schema", None) != SPEC_SCHEMA:
            raise ValueError("not " + SPEC_SCHEMA)
        spec = typed(ModelSpec, data, "the spec")
        _check_spec(spec)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a model spec: {error}") from error
    return spec


def input_from_json(item: Mapping[str, Any]) -> InputSpec:
    """Read back what `input_json` made.

    Raises:
        ValueError: a field missing, unknown or of another type, or an input that there cannot be.
    """
    found = typed(InputSpec, item, "an input")
    _check_input(found)
    return found


def _check_spec(spec: ModelSpec) -> None:
    if len(spec.classes) < 2:
        raise ValueError(f"it has {len(spec.classes)} classes, and a decision needs two")
    _distinct("class", spec.classes)
    if not spec.inputs:
        raise ValueError("it has no input")
    _distinct("input", [item.name for item in spec.inputs])
    for item in spec.inputs:
        _check_input(item)
    _check_reading(spec.reading, len(spec.classes))


def _check_input(item: InputSpec) -> None:
    where = f"input '{item.name}'"
    filled = [item.columns or None, item.array, item.picture, item.tokens]
    if sum(part is not None for part in filled) != 1:
        raise ValueError(f"{where} is not filled by either columns, an array, pictures or tokens")
    if item.dtype not in DTYPES and item.dtype != TEXT:
        raise ValueError(f"{where} has dtype '{item.dtype}', which is not supported")
    if item.dtype == TEXT and (not item.columns or any(column.vocabulary is None for column in item.columns)):
        raise ValueError(f"{where} takes texts, and not every column of it has a vocabulary")
    _distinct(f"column of {where}", [column.name for column in item.columns])
    for column in item.columns:
        _distinct(f"value of column '{column.name}'", column.vocabulary or ())
        _check_missing(column, item.dtype)
    if item.picture is not None:
        _check_picture(where, item.picture)
    if item.tokens is not None:
        _check_tokens(where, item.tokens)


def _check_missing(column: Column, dtype: str) -> None:
    """Categories have a code of their own or none, and numbers something that stands in or nothing."""
    if column.missing is None and column.fill is None:
        return
    where = f"column '{column.name}': missing"
    if column.vocabulary is not None:
        _among(where, column.missing, (CATEGORY,))
        if column.fill is not None or dtype == TEXT:
            raise ValueError(f"{where} is a category, and it has a fill or is text")
        return
    _among(where, column.missing, STAND_INS)
    if column.fill is None or not dtype.startswith("float"):
        raise ValueError(f"{where} is '{column.missing}', with fill {column.fill} in an input of {dtype}")


def _check_picture(where: str, picture: PictureSpec) -> None:
    _among(f"{where}: channels", picture.channels, (1, 3))
    _among(f"{where}: resample", picture.resample, RESAMPLE)
    _among(f"{where}: layout", picture.layout, LAYOUTS)
    for name in ("height", "width", "shorter"):
        size = getattr(picture, name)
        if size is not None:
            _within(f"{where}: {name}", size, 1, LONGEST_SIDE)
    if picture.stretched is not None:
        if picture.shorter is not None or len(picture.stretched) != 2:
            raise ValueError(
                f"{where}: stretched is {list(picture.stretched)}, not a height and a width instead of shorter"
            )
        for side, least in zip(picture.stretched, (picture.height, picture.width)):
            _within(f"{where}: stretched", side, least, LONGEST_SIDE)
    if (picture.mean is None) != (picture.std is None):
        raise ValueError(f"{where} has a mean or a std, and not both")
    for name, scale in (("mean", picture.mean), ("std", picture.std)):
        if scale is not None and (len(scale) != picture.channels or (name == "std" and min(scale) <= 0)):
            raise ValueError(f"{where}: {name} is {list(scale)} for {picture.channels} channels")


def _check_tokens(where: str, tokens: TokenSpec) -> None:
    _among(f"{where}: part", tokens.part, tuple(PARTS))
    _within(f"{where}: length", tokens.length, 1, LONGEST_TEXT)
    _within(f"{where}: vocabulary", tokens.vocabulary, 1, LARGEST_VOCABULARY)
    _within(f"{where}: pad", tokens.pad, 0, tokens.vocabulary - 1)


def _check_reading(reading: Reading, classes: int) -> None:
    _among("the reading's kind", reading.kind, KINDS)
    if reading.values is not None:
        held = [whole_number(value) for value in reading.values]
        if reading.kind != "label" or len(held) != classes or None in held or len(set(held)) != classes:
            raise ValueError(
                f"a {reading.kind} output holds {', '.join(reading.values)}, not a different whole number for each of "
                f"{classes} classes"
            )
    binary = reading.kind in ("logit", "probability") or (reading.threshold is not None and reading.kind != "label")
    if classes != 2 and binary:
        raise ValueError(f"a {reading.kind} with its threshold decides between two classes, and there are {classes}")


def _distinct(what: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"{what} '{twice}' is listed twice")


def _among(what: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        raise ValueError(f"{what} is {value!r}, not one of {', '.join(str(item) for item in known)}")


def _within(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{what} is {value}, not {least} to {most}")
