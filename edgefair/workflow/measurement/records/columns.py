"""What a record may hold: facts of known types, whole numbers, and columns of text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from edgefair.data.config import DataConfig
from edgefair.data.files.table import Categories
from edgefair.mistakes import first_mistake
from edgefair.report.results.verification import AuditRows, DataSection, ModelFile
from edgefair.targets.sections import Budgets, LatencyRules

# What older records hold beyond 0 and 1: a quantized softmax's rounding.
RANGE_TOLERANCE = 1e-6


class _TargetFacts(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    target: str
    device: dict[str, Any]
    budgets: Budgets
    rules: LatencyRules
    model: ModelFile
    reference: ModelFile | None
    footprint: dict[str, Any] | None = None
    pool: list[dict[str, Any]] | None = None
    times: list[str]
    not_timed: str
    notes: list[str]
    timings_s: dict[str, float]


class _Facts(BaseModel):
    model_config = ConfigDict(strict=True)

    created: str
    rows_digest: str
    audit: AuditRows
    data: DataSection
    classes: list[str]
    attributes: list[str]
    targets: list[_TargetFacts]
    settings: dict[str, Any]
    notes: list[str]


def record_facts(text: str) -> dict[str, Any]:
    """The facts of `record.save_record`, each of the type that it has.

    Raises:
        ValueError: one is of another type, or a number that is none.
    """
    json.loads(text, parse_constant=_no_number)
    try:
        facts = dict(_Facts.model_validate_json(text))
        section = DataConfig.model_validate(facts["data"].section).model_dump(mode="json")
        return {**facts, "data": DataSection(section, facts["data"].rows)}
    except ValidationError as error:
        raise ValueError(str(first_mistake(error))) from error


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}, which is not a number")


def integers(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.int64]:
    """An array of whole numbers.

    Raises:
        KeyError, ValueError: it is not there, or of another type.
    """
    if arrays[name].dtype.kind != "i":
        raise ValueError(f"'{name}' is {arrays[name].dtype}, not whole numbers")
    return arrays[name].astype(np.int64)


def probabilities(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """An array of probabilities.

    Raises:
        ValueError: it holds something else.
    """
    found = arrays[name]
    if found.dtype != np.float32 or not bool(((found >= -RANGE_TOLERANCE) & (found <= 1 + RANGE_TOLERANCE)).all()):
        raise ValueError(f"'{name}' is {found.dtype}, not probabilities")
    return found


def text_column(arrays: Mapping[str, NDArray[Any]], name: str, *, least: int) -> Categories:
    """A column of text, whose codes are `least` at least and have a value each.

    Raises:
        KeyError, ValueError: it is not there, or no such column.
    """
    codes, values = integers(arrays, f"codes/{name}"), arrays[f"values/{name}"]
    texts = tuple(values.tolist()) if values.dtype.kind == "U" and values.ndim == 1 else ()
    if len(set(texts)) < len(values.ravel()) or not ((codes >= least) & (codes < len(texts))).all():
        raise ValueError(f"'{name}' is not a text column")
    return Categories(texts, codes.astype(np.int32))
