"""Tables from files: Parquet, CSV and `.npz`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.npz import read_npz
from edgefair.data.files.table import MISSING, Categories, Column, Table
from edgefair.data.images.blobs import SpilledBlobs
from edgefair.errors import DataError, did_you_mean
from edgefair.probe.inputs.features import value_text

if TYPE_CHECKING:
    import pyarrow

# Rows of pictures that are in memory at one time while a table is read.
BLOBS_AT_ONCE = 256

# Beyond so many rows a file needs a byte for every so many of them.
MANY_ROWS, ROWS_OF_A_BYTE = 10_000_000, 100

# What stands for no value among numbers of a CSV file (pandas and R write these), and what no number begins with.
NO_NUMBER = ("", "NA", "N/A", "#N/A", "n/a", "NaN", "-NaN", "nan", "-nan", "NULL", "null")
LEADING_ZERO = "^[+-]?0[0-9]"
# What int64 surely holds.
WHOLE = "^-?[0-9]{1,18}$"

# Decides, from a file's column names, which of them are read.
Choose = Callable[[list[str]], Collection[str]]


def read_table(path: Path, choose: Choose, *, texts: Collection[str] = ()) -> Table:
    """Read the chosen columns of a table.

    Args:
        texts: columns that are read as the text in the file, whatever it looks like. Of others, a column of a CSV file
            is one of numbers where every cell is a number without leading zeros, or empty.

    Raises:
        DataError: no such file, an unknown format, or a file that is corrupt, empty or not UTF-8.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"'{path}' is of no known format{did_you_mean(path.suffix, READERS)}",
            expected=f"a file that ends in {', '.join(READERS)}, or the name of a built-in set",
        )
    if not path.is_file():
        raise DataError(f"no data file '{path}'", fix="data.source is relative to the folder of edgefair.yaml")
    table = reader(path, choose, texts)
    lengths = {name: len(column) for name, column in table.columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"'{path}': arrays of unequal length: {lengths}", expected="one entry per row in each")
    if not table.rows:
        raise DataError(f"'{path}' has no rows")
    return table


def _read_parquet(path: Path, choose: Choose, texts: Collection[str]) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        stream = pyarrow.parquet.ParquetFile(path)
        names = list(stream.schema_arrow.names)
        _check_names(path, names)
        _check_rows(path, stream.metadata.num_rows)
        wanted = set(choose(names))
        return _from_arrow(stream.read(columns=[name for name in names if name in wanted]), texts)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _unreadable(path, error) from error


def read_blobs(path: Path, column: str) -> SpilledBlobs | None:
    """A Parquet column of bytes, or of {bytes, path} as Hugging Face writes pictures; None where it is neither.

    Raises:
        DataError: a file that is corrupt.
    """
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return None
    import pyarrow
    import pyarrow.parquet
    from pyarrow import types

    try:
        stream = pyarrow.parquet.ParquetFile(path)
        if column not in stream.schema_arrow.names:
            return None
        kind = stream.schema_arrow.field(column).type
        nested = types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        if not (nested or types.is_binary(kind) or types.is_large_binary(kind)):
            return None
        batches = (batch.column(0) for batch in stream.iter_batches(BLOBS_AT_ONCE, columns=[column]))
        cells = (cell for part in batches for cell in (part.field("bytes") if nested else part))
        return SpilledBlobs((cell.as_py() for cell in cells), column=column)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _unreadable(path, error) from error


def _read_csv(path: Path, choose: Choose, texts: Collection[str]) -> Table:
    import pyarrow
    import pyarrow.csv

    try:
        parsing = pyarrow.csv.ParseOptions(delimiter=_separator(path))
        with pyarrow.csv.open_csv(path, parse_options=parsing) as stream:
            names = list(stream.schema.names)
        _check_names(path, names)
        wanted = set(choose(names))
        # No type is guessed from cells: `01` and `true` stay as they are, whatever else is in the column.
        text, coded = pyarrow.string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        options = pyarrow.csv.ConvertOptions(
            include_columns=[name for name in names if name in wanted],
            column_types={name: coded if name in texts else text for name in wanted},
        )
        table = pyarrow.csv.read_csv(path, parse_options=parsing, convert_options=options)
        return Table({name: _csv_column(name, table.column(name)) for name in table.column_names})
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _unreadable(path, error) from error


def _separator(path: Path) -> str:
    """What stands between the fields: of comma, semicolon and tab what the header has most, outside of quotes."""
    with path.open("rb") as stream:
        header = re.sub(rb'"[^"]*"', b"", stream.readline(1 << 20))
    return max(",;\t", key=lambda letter: header.count(letter.encode()))


def _csv_column(name: str, cells: Any) -> Column:
    """A column of texts, as numbers where all of them are: float64 with NaN where there is none, or int64."""
    import pyarrow
    from pyarrow import compute, types

    if types.is_dictionary(cells.type):
        return _column(name, cells)
    trimmed = compute.utf8_trim_whitespace(cells)
    absent = compute.is_in(trimmed, value_set=pyarrow.array(NO_NUMBER))
    if compute.any(compute.match_substring_regex(trimmed, LEADING_ZERO)).as_py() or compute.all(absent).as_py():
        return _column(name, cells)
    try:
        numbers = compute.if_else(absent, None, trimmed).cast(pyarrow.float64())
    except pyarrow.ArrowInvalid:
        return _column(name, cells)
    if compute.all(compute.match_substring_regex(trimmed, WHOLE)).as_py():
        numbers = trimmed.cast(pyarrow.int64())
    return np.asarray(numbers.to_numpy())


def _read_npz(path: Path, choose: Choose, texts: Collection[str]) -> Table:
    try:
        # Arrays have types: what is declared as text is made of them without a loss.
        del texts
        return Table({name: _from_numpy(path, name, array) for name, array in read_npz(path, choose).items()})
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"'{path}' holds pickled Python objects, which are never loaded: they could run any code",
                expected="arrays of numbers, booleans or fixed-width text",
                fix="save text with array.astype(str) before numpy.savez",
            ) from error
        raise _unreadable(path, error) from error


def _from_numpy(path: Path, name: str, array: NDArray[Any]) -> Column:
    kind = array.dtype.kind
    if array.ndim == 0 or (kind in "USb" and array.ndim > 1):
        found = f"{'text' if kind in 'US' else 'booleans'} {array.shape}" if array.ndim else "a single value"
        raise DataError(f"'{path}': '{name}' is {found}", expected="an array [rows, ...]", fix="exclude it")
    return Categories.of(array) if array.dtype.kind in "USb" else array


READERS: Mapping[str, Callable[[Path, Choose, Collection[str]], Table]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".npz": _read_npz,
}


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, UnicodeDecodeError):
        reason = f"its text is not UTF-8 ({reason})"
    return DataError(f"'{path}' cannot be read as {path.suffix[1:].upper()}: {reason}", fix="write or copy it again")


def _check_names(path: Path, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"'{path}' has {names.count(twice[0])} columns named '{twice[0]}'", expected="one of each name")


def _check_rows(path: Path, rows: int) -> None:
    """Refuse a file that says it has more rows than its bytes can tell apart: they would fill the memory."""
    if rows > max(MANY_ROWS, ROWS_OF_A_BYTE * path.stat().st_size):
        raise DataError(
            f"'{path}' says that it has {rows:,} rows in {path.stat().st_size:,} bytes",
            expected="rows that differ",
            fix="write it again",
        )


def _from_arrow(table: pyarrow.Table, texts: Collection[str]) -> Table:
    return Table({name: _column(name, table.column(name), text=name in texts) for name in table.column_names})


def _column(name: str, chunked: Any, *, text: bool = False) -> Column:
    import pyarrow
    from pyarrow import types

    kind = chunked.type
    if types.is_boolean(kind):
        codes = chunked.cast(pyarrow.int32()).fill_null(MISSING).to_numpy()
        return Categories((str(False), str(True)), np.asarray(codes, dtype=np.int32))
    if text and types.is_integer(kind):
        # Not by way of float64, which cannot hold long ids where one is missing.
        chunked = chunked.cast(pyarrow.string())
        kind = chunked.type
    if types.is_dictionary(kind) and not types.is_binary(kind.value_type):
        array = chunked.unify_dictionaries().combine_chunks()
    elif types.is_string(kind) or types.is_large_string(kind):
        array = chunked.combine_chunks().dictionary_encode()
    elif types.is_integer(kind) or types.is_floating(kind):
        values = chunked if chunked.null_count == 0 else chunked.cast(pyarrow.float64())
        return np.asarray(values.to_numpy())
    elif types.is_null(kind):
        return Categories((), np.full(len(chunked), MISSING, dtype=np.int32))
    else:
        raise DataError(
            f"column '{name}' has type {kind}",
            expected="text (UTF-8), numbers or booleans",
            fix="convert it, or exclude it",
        )
    if isinstance(array, pyarrow.ChunkedArray):
        array = array.chunk(0)
    codes = array.indices.fill_null(MISSING) if array.indices.null_count else array.indices
    values = [value_text(item) or "" for item in array.dictionary.to_pylist()]
    return _without_empty(values, np.asarray(codes.to_numpy(), dtype=np.int32))


def _without_empty(values: list[str], codes: NDArray[np.int32]) -> Categories:
    """An empty text is a missing value: CSV and `.npz` have no other way to write one."""
    kept = [position for position, value in enumerate(values) if value]
    if len(kept) < len(values):
        # One entry more than there are values, so that MISSING, the last one, stays MISSING.
        recoded = np.full(len(values) + 1, MISSING, dtype=np.int32)
        recoded[kept] = np.arange(len(kept))
        codes = recoded[codes]
    return Categories(tuple(values[position] for position in kept), codes)
