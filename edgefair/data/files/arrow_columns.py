"""Columns of Arrow by what their cells are, however these are stored: text, numbers, booleans, dates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import Growing, stored
from edgefair.data.files.table import MISSING, Categories, Column
from edgefair.errors import DataError
from edgefair.probe.features import plain_text, value_text


def joined_column(name: str, read: Callable[[], Iterable[Any]], rows: int, *, text: bool = False) -> Column:
    """The parts of a column, `pyarrow.ChunkedArray` each, as one; as `column_of` makes it of all of them.

    Args:
        read: gives the parts, from the first one on whenever it is called.
        rows: of all parts together, of which there is one at least.
        text: numbers are wanted as text.

    Raises:
        DataError: see `column_of`.
    """
    parts = (column_of(name, part, text=text) for part in read())
    first = next(parts)
    if isinstance(first, Categories):
        return _one_coding(first, cast(Iterator[Categories], parts), rows)
    numbers = _one_type(cast(NDArray[Any], first), cast(Iterator[NDArray[Any]], parts), rows)
    if numbers is not None:
        return numbers
    floats = (column_of(name, part, text=text, floats=True) for part in read())
    return stored(np.float64, rows, cast(Iterator[NDArray[Any]], floats))


def _one_coding(first: Categories, others: Iterator[Categories], rows: int) -> Categories:
    codes = Growing(np.int32, rows)
    codes.append(first.codes)
    place = {value: code for code, value in enumerate(first.values)}
    for part in others:
        if part.values == first.values:
            codes.append(part.codes)
            continue
        # One entry more than there are values, so that MISSING, the last one, stays MISSING.
        recode = np.array([*(place.setdefault(value, len(place)) for value in part.values), MISSING], dtype=np.int32)
        codes.append(recode[part.codes])
    return Categories(tuple(place), codes.column)


def _one_type(first: NDArray[Any], others: Iterator[NDArray[Any]], rows: int) -> NDArray[Any] | None:
    """Numbers of one type; None where a part is of another, as one with a gap is."""
    numbers = Growing(first.dtype, rows)
    numbers.append(first)
    for part in others:
        if part.dtype != first.dtype:
            return None
        numbers.append(part)
    return numbers.column


def column_of(name: str, chunked: Any, *, text: bool = False, floats: bool = False) -> Column:
    """A `pyarrow.ChunkedArray` as a column.

    Args:
        text: numbers are wanted as text.
        floats: numbers are wanted as float64, as those with a gap are.

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
        return _numbers(chunked, floats=floats)
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


def _numbers(chunked: Any, *, floats: bool = False) -> NDArray[Any]:
    """Cells as numbers; float64 with NaN where one has none, or where they are texts."""
    import pyarrow
    from pyarrow import types

    if floats or chunked.null_count or _is_text(chunked.type):
        chunked = chunked.cast(pyarrow.float64())
    elif types.is_float16(chunked.type):
        chunked = chunked.cast(pyarrow.float32())
    return _array(chunked, missing=np.nan)


def _array(chunked: Any, *, missing: float) -> NDArray[Any]:
    """Numbers, a new array of their type with `missing` where there is none.

    Not by `to_numpy` and `fill_null`, which load pandas where that is installed: that takes longer than most tables.
    """
    import pyarrow

    def part(chunk: Any) -> NDArray[Any]:
        _, values = chunk.buffers()
        there = np.from_dlpack(pyarrow.Array.from_buffers(chunk.type, len(chunk), [None, values], offset=chunk.offset))
        if not chunk.null_count:
            return there
        filled = np.array(there)
        filled[np.from_dlpack(chunk.is_null().cast(pyarrow.uint8())).astype(bool)] = missing
        return filled

    return stored(chunked.type.to_pandas_dtype(), len(chunked), map(part, chunked.chunks))


def _categories(encoded: Any) -> Categories:
    """A dictionary-encoded column, each entry by its `value_text`."""
    import pyarrow

    array = encoded.combine_chunks()
    if isinstance(array, pyarrow.ChunkedArray):
        array = array.chunk(0)
    codes = _array(pyarrow.chunked_array([array.indices]), missing=MISSING)
    texts = array.dictionary.to_pylist()
    # The text of a text is itself.
    values = texts if _is_text(array.dictionary.type) else [value_text(item) or "" for item in texts]
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
