"""How raw features become the graph's inputs, and how its outputs become decisions.

The spec travels inside the ONNX file (metadata key `edgefair.spec`), so the digest of the model covers it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgefair.probe.features import category_texts, numbers, plain_text, same_length

SPEC_SCHEMA = "edgefair.spec/1"
SPEC_METADATA_KEY = "edgefair.spec"
UNSEEN = -1
# The type of an input that takes texts; they travel as codes.
TEXT = "str"
# How a picture is resized, and what a tokenizer's encoding calls the parts of a `TokenSpec`.
NEAREST = "nearest"
RESAMPLE = (NEAREST, "bilinear", "bicubic", "lanczos", "box")
PARTS = {"ids": "ids", "mask": "attention_mask", "types": "type_ids"}
# What a missing value can be: a category of its own, or a number that stands in for it.
CATEGORY, STAND_INS = "category", ("mean", "median")


@dataclass(frozen=True)
class Column:
    """One raw feature. A vocabulary makes it categorical; without one it is a number.

    missing: what a missing value (none, NaN, an empty text) is. `category`: a value of its own, whose code follows the
    vocabulary's. `mean` or `median`: the graph takes NaN, and puts `fill` in its place, which is that of the training
    rows. None: of categories a value that training never saw; of numbers an error.
    """

    name: str
    vocabulary: Optional[Tuple[str, ...]] = None
    missing: Optional[str] = None
    fill: Optional[float] = None

    @property
    def missing_code(self) -> int:
        """The code of a missing category."""
        return UNSEEN if self.missing is None else len(self.vocabulary or ())

    @property
    def codes(self) -> int:
        """How many codes a category may have beside `UNSEEN`."""
        return len(self.vocabulary or ()) + (self.missing is not None)


@dataclass(frozen=True)
class PictureSpec:
    """How a picture of any size becomes the graph's input. `probe.inputs.pictures` executes it.

    column: the raw feature. channels: 3 (RGB) or 1 (grey). resample: one of `RESAMPLE`.
    shorter: resize the shorter side to that many pixels and then take the centre [height, width]. stretched: stretch
    the picture to this height and width and then take the centre. Without either it is stretched to [height, width].
    layout: `nhwc` or `nchw`. mean and std per channel: the input is (value / 255 - mean) / std; None leaves 0..255.
    """

    column: str
    height: int
    width: int
    channels: int = 3
    resample: str = "bilinear"
    shorter: Optional[int] = None
    layout: str = "nhwc"
    mean: Optional[Tuple[float, ...]] = None
    std: Optional[Tuple[float, ...]] = None
    stretched: Optional[Tuple[int, ...]] = None


@dataclass(frozen=True)
class TokenSpec:
    """How a text becomes the graph's input [rows, length], padded and cut to `length` tokens.

    column: the raw feature. part: `ids`, `mask` (1 for a token, 0 for padding) or `types`. tokenizer: SHA-256 of the
    tokenizer.json. vocabulary: number of ids. pad: the id of padding.
    """

    column: str
    part: str
    length: int
    tokenizer: str
    vocabulary: int
    pad: int


@dataclass(frozen=True)
class InputSpec:
    """One input of the graph.

    One of: `columns` (each fills one column of an array [rows, columns]: float32 numbers; int32 codes into the
    vocabulary, `UNSEEN` for a value that training never saw; or with dtype `str` the texts themselves), `array` (the
    name of a ready array [rows, ...]), `picture` or `tokens`.
    """

    name: str
    dtype: str
    columns: Tuple[Column, ...] = ()
    array: Optional[str] = None
    picture: Optional[PictureSpec] = None
    tokens: Optional[TokenSpec] = None

    @property
    def row_shape(self) -> Optional[Tuple[int, ...]]:
        """Shape of one row of the graph's input; None for an array, whose shape the data knows."""
        if self.picture is not None:
            area = (self.picture.height, self.picture.width)
            nchw = self.picture.layout == "nchw"
            return (self.picture.channels, *area) if nchw else (*area, self.picture.channels)
        if self.tokens is not None:
            return (self.tokens.length,)
        return (len(self.columns),) if self.columns else None


@dataclass(frozen=True)
class Reading:
    """How one output of the graph becomes a decision (an index into the classes).

    kind: `label` int [rows]; `logits` or `probabilities` float [rows, classes], by argmax, or for two classes by
    P(class 1) >= threshold; `logit` or `probability` float [rows] or [rows, 1], binary.
    score: name of an output with P(class) float [rows, classes], where the graph offers one.
    values: what a `label` output holds for each class, in the order of the classes, as texts; None where it holds the
    class's position.
    """

    output: str
    kind: str
    threshold: Optional[float] = None
    score: Optional[str] = None
    values: Optional[Tuple[str, ...]] = None


@dataclass(frozen=True)
class ModelSpec:
    """Everything that a device needs beside the graph itself."""

    inputs: Tuple[InputSpec, ...]
    reading: Reading
    classes: Tuple[str, ...]

    def to_json(self) -> str:
        """The spec as JSON text, keys in a fixed order."""
        data = {**asdict(self), "inputs": [input_json(item) for item in self.inputs]}
        if self.reading.values is None:
            del data["reading"]["values"]
        return json.dumps({"schema": SPEC_SCHEMA, **data}, ensure_ascii=False, separators=(",", ":"))


def input_json(item: InputSpec) -> Dict[str, Any]:
    """One input as JSON types, without what it does not use."""
    found = {key: value for key, value in asdict(item).items() if value is not None}
    if item.columns:
        found["columns"] = [_column_json(column) for column in item.columns]
    if item.picture is not None and item.picture.stretched is None:
        # Of specs that were written before this field was.
        del found["picture"]["stretched"]
    return found


def _column_json(column: Column) -> Dict[str, Any]:
    found = asdict(column)
    return {key: value for key, value in found.items() if value is not None or key in ("name", "vocabulary")}


def category_codes(
    values: Sequence[Optional[str]], vocabulary: Sequence[str], missing_code: int = UNSEEN
) -> np.ndarray:
    """Position of each value in the vocabulary, `UNSEEN` where it is not there, `missing_code` where there is none:
    int32 [values].

    A value that is not there to the letter is looked for in its other spellings (`plain_text`): whoever wrote the rows
    may write a boolean or a whole number otherwise than whoever wrote the training rows.
    """
    index = {value: code for code, value in enumerate(vocabulary)}
    plain: Dict[str, int] = {}
    for value, code in index.items():
        spelling = plain_text(value)
        plain[spelling] = UNSEEN if spelling in plain else code

    def code_of(value: Optional[str]) -> int:
        if value is None:
            return missing_code
        return index[value] if value in index else plain.get(plain_text(value), UNSEEN)

    return np.fromiter(map(code_of, values), dtype=np.int32, count=len(values))


def encode(raw: Mapping[str, Any], spec: InputSpec) -> np.ndarray:
    """Raw feature columns -> the graph input [rows, columns] (C-contiguous); codes int32 where the graph takes texts.

    Args:
        raw: feature name -> one value per row: numbers for numeric columns, texts (or what stands for them; None where
            there is none) for categorical ones; for `spec.array`, the ready array.

    Raises:
        KeyError: a feature that the spec needs is not in `raw`.
        ValueError: not one value per row, columns of unequal length, or numbers that the graph cannot take as they are.
    """
    dtype = np.dtype(np.int32 if spec.dtype == TEXT else spec.dtype)
    if spec.array is not None:
        return numbers(spec.array, raw[spec.array], dtype)
    columns = []
    for column in spec.columns:
        if column.vocabulary is None:
            filled = column.missing is not None
            columns.append(numbers(column.name, raw[column.name], dtype, ndim=1, missing=filled))
        else:
            texts = category_texts(column.name, raw[column.name])
            columns.append(category_codes(texts, column.vocabulary, column.missing_code))
    same_length({column.name: len(values) for column, values in zip(spec.columns, columns)})
    return np.stack(columns, axis=1).astype(dtype, order="C", copy=False)
