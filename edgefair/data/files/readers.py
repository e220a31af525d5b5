"""Tables from files: Parquet, CSV and `.npz`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from edgefair.data.files.arrow_columns import joined_column
from edgefair.data.files.blobs import SpilledBlobs
from edgefair.data.files.copies import check_once, twice
from edgefair.data.files.csv_table import CsvConfig, read_csv
from edgefair.data.files.npz import read_npz
from edgefair.data.files.table import Categories, Column, Table
from edgefair.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow

# Rows of pictures, and of other columns, that are in memory at one time while a table is read; and bytes of a file.
BLOBS_AT_ONCE, ROWS_AT_ONCE, BYTES_AT_ONCE = 256, 1 << 16, 1 << 20

# Beyond so many rows a file needs a byte for every so many of them.
MANY_ROWS, ROWS_OF_A_BYTE = 10_000_000, 100

# Kinds of numpy arrays that are read as text.
NO_NUMBERS = {"U": "text", "S": "text", "b": "booleans", "M": "dates"}

# Decides, from a file's column names, which of them are read.
Choose = Callable[[list[str]], Collection[str]]


def read_table(path: Path, choose: Choose, *, texts: Collection[str] = (), csv: CsvConfig | None = None) -> Table:
    """Read the chosen columns of a table; no other column is looked at.

    Args:
        texts: columns that are read as the text in the file, whatever it looks like. Of others, a column of a CSV file
            is one of numbers where every cell is a number without leading zeros, or empty.
        csv: how a CSV file was written.

    Raises:
        DataError: no such file, an unknown format, a file that is corrupt, empty or of another encoding, or a column
            whose numbers have a comma.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"'{path}' has an unsupported format{did_you_mean(path.suffix, READERS)}",
            expected=f"a file that ends in {', '.join(READERS)}, or the name of a built-in set",
        )
    if not path.is_file():
        raise DataError(
            f"no data file '{path}'",
            fix="data.source is relative to the folder of edgefair.yaml; elsewhere: --set data.source=FILE",
        )
    table = reader(path, choose, texts, csv or CsvConfig())
    lengths = {name: len(column) for name, column in table.columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"'{path}': arrays of unequal length: {lengths}", expected="one entry per row in each")
    if not table.rows:
        raise DataError(f"'{path}' has no rows")
    return table


def _read_parquet(path: Path, choose: Choose, texts: Collection[str], _csv: CsvConfig) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        stream = pyarrow.parquet.ParquetFile(path, buffer_size=BYTES_AT_ONCE)
        names, rows = list(stream.schema_arrow.names), stream.metadata.num_rows
        _check_rows(path, rows)
        wanted = set(choose(names))
        check_once(path, {name: names.count(name) for name in twice(names, wanted)})
        columns = {
            name: joined_column(name, partial(_parts, stream, name), rows, text=name in texts)
            for name in names
            if name in wanted
        }
        pyarrow.default_memory_pool().release_unused()
        return Table(columns)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _unreadable(path, error) from error


def _parts(stream: pyarrow.parquet.ParquetFile, name: str) -> Iterator[pyarrow.ChunkedArray]:
    """One column, some rows at a time, and without rows one part that has none."""
    import pyarrow

    kind = stream.schema_arrow.field(name).type
    batches = stream.iter_batches(ROWS_AT_ONCE, columns=[name])
    first = next(batches, None)
    yield pyarrow.chunked_array([] if first is None else [first.column(name)], kind)
    for batch in batches:
        yield pyarrow.chunked_array([batch.column(name)], kind)


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


def _read_csv(path: Path, choose: Choose, texts: Collection[str], csv: CsvConfig) -> Table:
    import pyarrow

    try:
        return read_csv(path, choose, texts=texts, csv=csv)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _unreadable(path, error, csv.encoding) from error


def _read_npz(path: Path, choose: Choose, _texts: Collection[str], _csv: CsvConfig) -> Table:
    try:
        # Arrays have types: what is declared as text is made of them without a loss.
        return Table({name: _from_numpy(path, name, array) for name, array in read_npz(path, choose).items()})
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"'{path}' holds pickled Python objects, which are never loaded: they can run arbitrary code",
                expected="arrays of numbers, booleans or fixed-width text",
                fix="save text with array.astype(str) before numpy.savez",
            ) from error
        raise _unreadable(path, error) from error


def _from_numpy(path: Path, name: str, array: NDArray[Any]) -> Column:
    words = NO_NUMBERS.get(array.dtype.kind)
    if array.ndim == 0 or (words is not None and array.ndim > 1):
        found = f"{words or 'numbers'} {array.shape}" if array.ndim else "a single value"
        raise DataError(f"'{path}': '{name}' is {found}", expected="an array [rows, ...]", fix="exclude it")
    return array if words is None else Categories.of(array)


READERS: Mapping[str, Callable[[Path, Choose, Collection[str], CsvConfig], Table]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".npz": _read_npz,
}


def _unreadable(path: Path, error: Exception, encoding: str = "utf-8") -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    fix = "write or copy it again"
    if isinstance(error, UnicodeDecodeError) or "invalid UTF8" in reason:
        reason = f"its text is not {encoding.upper()} ({reason})"
        if path.suffix.lower() == ".csv":
            fix = "save it as 'CSV UTF-8', or set data.csv.encoding (init: --encoding), as Excel writes cp1252"
    return DataError(f"'{path}' cannot be read as {path.suffix[1:].upper()}: {reason}", fix=fix)


def _check_rows(path: Path, rows: int) -> None:
    """Refuse a file that says it has more rows than its bytes can tell apart: they would fill the memory."""
    if rows > max(MANY_ROWS, ROWS_OF_A_BYTE * path.stat().st_size):
        raise DataError(
            f"'{path}' says that it has {rows:,} rows in {path.stat().st_size:,} bytes",
            expected="rows that differ",
            fix="write it again",
        )
