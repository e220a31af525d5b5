"""Values of categorical columns that a model has no code for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories
from edgefair.data.rows import TableRows
from edgefair.errors import DataError
from edgefair.probe.onnx_files.spec import UNSEEN, ModelSpec, category_codes

# Of the rows that have a value: above this share, and so many, the column is not the one that the model knows.
NEARLY_ALL, LEAST = 0.95, 10
NAMED = 3


def unseen_notes(rows: TableRows, spec: ModelSpec) -> tuple[str, ...]:
    """Per column, how many rows have a value that the model's vocabulary lacks, and in which group most.

    Raises:
        DataError: a column in which (nearly) every value is one.
    """
    columns = [column for item in spec.inputs for column in item.columns if column.vocabulary is not None]
    found = (_note(rows, column.name, column.vocabulary or ()) for column in columns)
    return tuple(note for note in found if note is not None)


def _note(rows: TableRows, name: str, vocabulary: tuple[str, ...]) -> str | None:
    column = rows.table.columns.get(name)
    if not isinstance(column, Categories):
        return None
    lacking = category_codes(column.values, vocabulary) == UNSEEN
    count, present = int(column.counts[lacking].sum()), int(column.counts.sum())
    if not count:
        return None
    values = sorted({column.values[code] for code in np.flatnonzero(lacking & (column.counts > 0))})
    some = ", ".join(f"'{value}'" for value in values[:NAMED]) + (", ..." if len(values) > NAMED else "")
    if count >= LEAST and count > NEARLY_ALL * present:
        raise DataError(
            f"{count:,} of {present:,} values of feature '{name}' are unknown to the model: {some}",
            expected=f"values of its vocabulary: {', '.join(vocabulary[:20])}",
            fix="write the column as in the rows that trained the model: a model that knows none of its values "
            "ignores the column",
        )
    note = f"'{name}' has values that the model does not know in {count:,} of {len(rows):,} rows ({some})"
    return note + mostly_of(np.append(lacking, False)[column.codes], rows)


def mostly_of(chosen: NDArray[np.bool_], rows: TableRows) -> str:
    """In which group the largest share of the rows is among the chosen ones, as the end of a sentence.

    Args:
        chosen: bool [rows].
    """
    shares = {
        (attribute, value): float(chosen[groups.codes == code].mean())
        for attribute, groups in rows.sensitive.items()
        for code, value in enumerate(groups.values)
        if value in groups.present
    }
    if not shares:
        return ""
    (attribute, group), share = max(shares.items(), key=lambda item: item[1])
    return f"; most of the rows with {attribute} = {group} ({share:.1%})"
