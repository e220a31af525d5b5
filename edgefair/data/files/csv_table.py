"""Tables from CSV files, also as Excel writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from edgefair.data.files.arrow_columns import column_of
from edgefair.data.files.copies import check_copies, twice
from edgefair.data.files.table import Categories, Column, Table
from edgefair.errors import DataError
from edgefair.probe.dates import year_first

# What stands for no value among numbers of a CSV file (pandas and R write these), and what no number begins with.
NO_NUMBER = ("", "NA", "N/A", "#N/A", "n/a", "NaN", "-NaN", "nan", "-nan", "NULL", "null")
LEADING_ZERO = "^[+-]?0[0-9]"
# What int64 surely holds.
WHOLE = "^-?[0-9]{1,18}$"


class CsvConfig(BaseModel):
    """How a .csv file was written, where its cells cannot tell."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: str = Field("utf-8", description="Excel's plain CSV is cp1252 in America and Western Europe.")
    decimal: Literal[".", ","] = Field(".", description="The decimal separator.")
    dates: Literal["day-first", "month-first"] | None = Field(
        None, description="What 01/02/2024 begins with; without it such dates are refused."
    )

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError as error:
            raise ValueError(f"{error}; for example utf-8, cp1252, cp1250 or utf-16") from error
        return value


def read_csv(
    path: Path, choose: Callable[[list[str]], Collection[str]], *, texts: Collection[str], csv: CsvConfig
) -> Table:
    """The chosen columns of a file; no type is guessed from cells of others.

    Args:
        choose: decides, from the names of the columns, which of them are read.
        texts: columns that are read as the text in the file, whatever it looks like.

    Raises:
        pyarrow.ArrowException, OSError, ValueError: the file cannot be read.
        DataError: a column of numbers with another decimal sign.
    """
    import pyarrow
    import pyarrow.csv

    reading = pyarrow.csv.ReadOptions(encoding=csv.encoding)
    parsing = pyarrow.csv.ParseOptions(delimiter=_separator(path, csv.encoding), newlines_in_values=True)
    with pyarrow.csv.open_csv(path, read_options=reading, parse_options=parsing) as stream:
        names = list(stream.schema.names)
    wanted = set(choose(names))
    doubled = twice(names, wanted)
    if doubled:
        cells = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.string()))
        every = pyarrow.csv.read_csv(path, read_options=reading, parse_options=parsing, convert_options=cells)
        check_copies(path, every, doubled)
    # `01` and `true` stay as they are, whatever else is in the column.
    text, coded = pyarrow.string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    options = pyarrow.csv.ConvertOptions(
        include_columns=[name for name in dict.fromkeys(names) if name in wanted],
        column_types={name: coded if name in texts else text for name in wanted},
    )
    table = pyarrow.csv.read_csv(path, reading, parsing, options)
    return Table({name: _column(name, table.column(name), csv) for name in table.column_names})


def _separator(path: Path, encoding: str) -> str:
    """What stands between the fields: of comma, semicolon and tab what the header has most, outside of quotes."""
    with path.open(encoding=encoding, errors="replace") as stream:
        header = re.sub('"[^"]*"', "", stream.readline(1 << 20))
    return max(",;\t", key=header.count)


def _column(name: str, cells: Any, csv: CsvConfig) -> Column:
    """A column of texts, as numbers where all of them are: float64 with NaN where there is none, or int64."""
    import pyarrow
    from pyarrow import compute, types

    if types.is_dictionary(cells.type):
        return _texts(name, cells, csv)
    trimmed = compute.utf8_trim_whitespace(cells)
    absent = compute.is_in(trimmed, value_set=_no_number())
    if compute.any(compute.match_substring_regex(trimmed, LEADING_ZERO)).as_py() or compute.all(absent).as_py():
        return _texts(name, cells, csv)
    numbers = compute.if_else(absent, pyarrow.nulls(1, trimmed.type)[0], trimmed)
    try:
        if csv.decimal == ",":
            _check_decimals(name, numbers, csv)
            numbers = compute.replace_substring(numbers, ",", ".")
        numbers = numbers.cast(pyarrow.float64())
    except pyarrow.ArrowInvalid:
        _check_decimals(name, numbers, csv)
        return _texts(name, cells, csv)
    if compute.all(compute.match_substring_regex(trimmed, WHOLE)).as_py():
        numbers = trimmed.cast(pyarrow.int64())
    return column_of(name, numbers)


def _no_number() -> Any:
    """`NO_NUMBER` as an array of pyarrow: made of its parts, as what looks through a list loads pandas."""
    import pyarrow

    texts = [text.encode() for text in NO_NUMBER]
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
    return pyarrow.StringArray.from_buffers(len(texts), pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(texts)))


def _check_decimals(name: str, cells: Any, csv: CsvConfig) -> None:
    """Refuse cells that are all numbers, if only what is not the decimal sign in them separates thousands, or is it."""
    from pyarrow import compute

    own, other = (re.escape(sign) for sign in (csv.decimal, ".,".replace(csv.decimal, "")))
    number = f"^[+-]?[0-9]+(({other}[0-9]{{3}})*({own}[0-9]+)?|({own}[0-9]{{3}})*{other}[0-9]+)([eE][+-]?[0-9]+)?$"
    with_other = compute.match_substring_regex(cells, other)
    if compute.any(with_other).as_py() and compute.all(compute.match_substring_regex(cells, number)).as_py():
        found = cells.filter(with_other)[0].as_py()
        raise DataError(
            f"column '{name}' holds numbers as '{found}', and the decimal sign is '{csv.decimal}'",
            expected=f"numbers as 1234{csv.decimal}5, without a thousands separator",
            fix="set data.csv.decimal (init: --decimal), or write them so; codes are listed under data.categorical",
        )


def _texts(name: str, cells: Any, csv: CsvConfig) -> Column:
    """A column of texts, each with the decimal sign and the date that the config says it has."""
    column = column_of(name, cells)
    if not isinstance(column, Categories) or (csv.decimal == "." and csv.dates is None):
        return column
    return column.renamed([_plain(value, csv) for value in column.values])


def _plain(text: str, csv: CsvConfig) -> str:
    if csv.decimal == "," and re.fullmatch("-?[0-9]+,[0-9]+", text):
        return text.replace(",", ".")
    return (year_first(text, csv.dates == "day-first") if csv.dates else None) or text
