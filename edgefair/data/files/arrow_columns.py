"""Columns of Arrow by what their cells are, however these are stored: text, numbers, booleans, dates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import MISSING, Categories, Column
from edgefair.errors import DataError
from edgefair.probe.features import plain_text, value_text


def column_of(name: str, chunked: Any, *, text: bool = False) -> Column:
    """A `pyarrow.ChunkedArray` as a column.

    Args:
        text: numbers are wanted as text.

    Raises:
        DataError: cells that are no text, number, boolean, date or moment.
    """
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(chunked.type) and not _is_text(chunked.type.value_type):
        # How cells are stored says nothing of what they are.
        chunked = chunked.cast(chunked.type.value_type)
    kind = chunked.type
    if types.is_boolean(kind):
        return Categories((str(False), str(True)), _array(chunked.cast(pyarrow.int32()), missing=MISSING))
    if types.is_null(kind):
        return Categories((), np.full(len(chunked), MISSING, dtype=np.int32))
    if types.is_timestamp(kind) and kind.tz is not None:
        chunked = chunked.cast(pyarrow.timestamp(kind.unit, "UTC"))
    if types.is_date(kind) or types.is_timestamp(kind):
        dates = _categories(chunked.cast(pyarrow.string()).dictionary_encode())
        return dates.renamed([plain_text(value) for value in dates.values])
    if types.is_decimal(kind):
        # As text they have all of their digits, and by way of it they are the numbers that a CSV file has.
        return _categories(chunked.dictionary_encode()) if text else _numbers(chunked.cast(pyarrow.string()))
    if types.is_floating(kind) or (types.is_integer(kind) and not text):
        return _numbers(chunked)
    if types.is_integer(kind):
        # Not by way of float64, which cannot hold long ids where one is missing.
        return _categories(chunked.dictionary_encode())
    if types.is_dictionary(kind):
        return _categories(chunked.unify_dictionaries())
    if types.is_string_view(kind):
        chunked = chunked.cast(pyarrow.large_string())
    if _is_text(kind):
        return _categories(chunked.dictionary_encode())
    raise DataError(
        f"column '{name}' has type {kind}",
        expected="text (UTF-8), numbers, booleans or dates",
        fix="convert or exclude it",
    )


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _numbers(chunked: Any) -> NDArray[Any]:
    """Cells as numbers; float64 with NaN where one has none, or where they are texts."""
    import pyarrow
    from pyarrow import types

    if chunked.null_count or _is_text(chunked.type):
        chunked = chunked.cast(pyarrow.float64())
    elif types.is_float16(chunked.type):
        chunked = chunked.cast(pyarrow.float32())
    return _array(chunked, missing=np.nan)


def _array(chunked: Any, *, missing: float) -> NDArray[Any]:
    """Numbers, a new array of their type with `missing` where there is none.

    Not by `to_numpy` and `fill_null`, which load pandas where that is installed: that takes longer than most tables.
    """
    import pyarrow

    parts = [np.empty(0, dtype=chunked.type.to_pandas_dtype())]
    for chunk in chunked.chunks:
        _, values = chunk.buffers()
        there = pyarrow.Array.from_buffers(chunk.type, len(chunk), [None, values], offset=chunk.offset)
        parts.append(np.array(np.from_dlpack(there)))
        if chunk.null_count:
            parts[-1][np.from_dlpack(chunk.is_null().cast(pyarrow.uint8())).astype(bool)] = missing
    return np.concatenate(parts)


def _categories(encoded: Any) -> Categories:
    """A dictionary-encoded column, each entry by its `value_text`."""
    import pyarrow

    array = encoded.combine_chunks()
    if isinstance(array, pyarrow.ChunkedArray):
        array = array.chunk(0)
    codes = _array(pyarrow.chunked_array([array.indices]), missing=MISSING)
    values = [value_text(item) or "" for item in array.dictionary.to_pylist()]
    return _without_empty(values, codes.astype(np.int32, copy=False))


def _without_empty(values: list[str], codes: NDArray[np.int32]) -> Categories:
    """An empty text is a missing value: CSV and `.npz` have no other way to write one."""
    kept = [position for position, value in enumerate(values) if value]
    if len(kept) < len(values):
        # One entry more than there are values, so that MISSING, the last one, stays MISSING.
        recoded = np.full(len(values) + 1, MISSING, dtype=np.int32)
        recoded[kept] = np.arange(len(kept))
        codes = recoded[codes]
    return Categories(tuple(values[position] for position in kept), codes)
