"""How raw features become the graph's inputs, and how its outputs become decisions.

The spec travels inside the ONNX file (metadata key `edgefair.spec`), so the digest of the model covers it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

SPEC_SCHEMA = "edgefair.spec/1"
SPEC_METADATA_KEY = "edgefair.spec"
UNSEEN = -1


@dataclass(frozen=True)
class Column:
    """One raw feature. A vocabulary makes it categorical; without one it is a number."""

    name: str
    vocabulary: Optional[Tuple[str, ...]] = None


@dataclass(frozen=True)
class InputSpec:
    """One input of the graph.

    Either `columns` (each fills one column of an array [rows, columns]: float32 numbers or int32 codes into the
    vocabulary, `UNSEEN` for a value that training never saw), or `array`: the name of a ready array [rows, ...].
    """

    name: str
    dtype: str
    columns: Tuple[Column, ...] = ()
    array: Optional[str] = None


@dataclass(frozen=True)
class Reading:
    """How one output of the graph becomes a decision (an index into the classes).

    kind: `label` int [rows]; `logits` or `probabilities` float [rows, classes], by argmax, or for two classes by
    P(class 1) >= threshold; `logit` or `probability` float [rows] or [rows, 1], binary.
    score: name of an output with P(class) float [rows, classes], where the graph offers one.
    """

    output: str
    kind: str
    threshold: Optional[float] = None
    score: Optional[str] = None


@dataclass(frozen=True)
class ModelSpec:
    """Everything that a device needs beside the graph itself."""

    inputs: Tuple[InputSpec, ...]
    reading: Reading
    classes: Tuple[str, ...]

    def to_json(self) -> str:
        """The spec as JSON text, keys in a fixed order."""
        return json.dumps({"schema": SPEC_SCHEMA, **asdict(self)}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "ModelSpec":
        """Read back what `to_json` wrote.

        Raises:
            ValueError: not JSON, another schema, or a field missing or unknown.
        """
        try:
            data = json.loads(text)
            if data.pop("schema") != SPEC_SCHEMA:
                raise ValueError("not " + SPEC_SCHEMA)
            return cls(
                inputs=tuple(_input(item) for item in data.pop("inputs")),
                reading=Reading(**data.pop("reading")),
                classes=tuple(data.pop("classes")),
                **data,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a model spec: {error!r}") from error


def _input(item: Dict[str, Any]) -> InputSpec:
    columns = tuple(
        Column(c["name"], None if c["vocabulary"] is None else tuple(c["vocabulary"])) for c in item.pop("columns")
    )
    return InputSpec(columns=columns, **item)


def category_codes(values: Sequence[str], vocabulary: Sequence[str]) -> np.ndarray:
    """Position of each value in the vocabulary, `UNSEEN` where it is not there: int32 [values]."""
    index = {value: code for code, value in enumerate(vocabulary)}
    return np.fromiter((index.get(value, UNSEEN) for value in values), dtype=np.int32, count=len(values))


def encode(raw: Mapping[str, Any], spec: InputSpec) -> np.ndarray:
    """Raw feature columns -> the graph input [rows, columns] (C-contiguous).

    Args:
        raw: feature name -> array [rows] of numbers (for numeric columns) or of text (for categorical ones);
            for `spec.array`, the ready array.

    Raises:
        KeyError: a feature that the spec needs is not in `raw`.
        ValueError: a number that is NaN or infinite, or columns of unequal length.
    """
    dtype = np.dtype(spec.dtype)
    if spec.array is not None:
        return np.ascontiguousarray(raw[spec.array], dtype=dtype)
    rows = len(raw[spec.columns[0].name])
    out = np.empty((rows, len(spec.columns)), dtype=dtype)
    for position, column in enumerate(spec.columns):
        values = raw[column.name]
        if column.vocabulary is None:
            out[:, position] = values
        else:
            unique, inverse = np.unique(np.asarray(values, dtype=str), return_inverse=True)
            out[:, position] = category_codes(unique.tolist(), column.vocabulary)[inverse]
    if out.dtype.kind == "f" and not np.isfinite(out).all():
        bad = spec.columns[int(np.argmax(~np.isfinite(out).all(axis=0)))].name
        raise ValueError(f"feature '{bad}' holds NaN or an infinite number")
    return out
