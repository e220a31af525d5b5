"""Missing values of features, and what a model makes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import MISSING, Categories
from edgefair.data.rows import TableRows
from edgefair.data.survey.unseen import mostly_of
from edgefair.probe.onnx_files.spec import Column, ModelSpec


def missing_notes(rows: TableRows, spec: ModelSpec) -> tuple[str, ...]:
    """Per column, how many rows have no value, in which group most, and what the model decides by instead."""
    found = []
    for column in (column for item in spec.inputs for column in item.columns):
        lacking = _lacking(rows, column.name)
        count = int(lacking.sum())
        if count:
            what = "number" if column.vocabulary is None else "value"
            found.append(
                f"'{column.name}' has no {what} in {count:,} of {len(rows):,} rows: {_instead(column)}"
                + mostly_of(lacking, rows)
            )
    return tuple(found)


def _lacking(rows: TableRows, name: str) -> NDArray[np.bool_]:
    values = rows.table.columns.get(name)
    lacking = np.zeros(len(rows), dtype=bool)
    if isinstance(values, Categories):
        lacking |= values.codes == MISSING
    elif isinstance(values, np.ndarray) and values.ndim == 1:
        lacking |= np.isnan(values)
    return lacking


def _instead(column: Column) -> str:
    if column.fill is not None:
        return f"the {column.missing} of the training rows, {column.fill:.6g}, is imputed"
    return "a category of its own" if column.missing is not None else "treated as a value that training never saw"
