"""Missing values of features, and what a model makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import slices
from edgefair.data.files.table import MISSING, Categories
from edgefair.data.rows import TableRows
from edgefair.data.survey.unseen import mostly_of
from edgefair.probe.onnx_files.spec import Column, ModelSpec


def missing_notes(rows: TableRows, spec: ModelSpec) -> tuple[str, ...]:
    """Per column, how many rows have no value, in which group most, and what the model decides by instead."""
    found = []
    for column in (column for item in spec.inputs for column in item.columns):
        lacking = _lacking(rows, column.name)
        count = sum(int(np.count_nonzero(part)) for part in lacking())
        if count:
            what = "number" if column.vocabulary is None else "value"
            found.append(
                f"'{column.name}' has no {what} in {count:,} of {len(rows):,} rows: {_instead(column)}"
                + mostly_of(np.concatenate([*lacking()]), rows)
            )
    return tuple(found)


def _lacking(rows: TableRows, name: str) -> Callable[[], Iterator[NDArray[np.bool_]]]:
    """Which rows have no value, bool [rows of the part], part by part and as often as it is called."""
    values = rows.table.columns.get(name)
    if isinstance(values, Categories):
        codes = values.codes
        return lambda: (codes[part] == MISSING for part in slices(len(rows), codes))
    if isinstance(values, np.ndarray) and values.ndim == 1:
        return lambda: (np.isnan(values[part]) for part in slices(len(rows), values))
    return lambda: iter(())


def _instead(column: Column) -> str:
    if column.fill is not None:
        return f"the {column.missing} of the training rows, {column.fill:.6g}, is imputed"
    return "a category of its own" if column.missing is not None else "treated as a value that training never saw"
