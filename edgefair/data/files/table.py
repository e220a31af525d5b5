"""A table in memory: numbers as arrays, text as codes into its distinct values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import slices, stored, taken
from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.text_hashes import TextHashes
from edgefair.probe.features import plain_text, value_text

MISSING = -1


@dataclass(frozen=True, eq=False)
class Categories:
    """A column of text.

    Attributes:
        values: the distinct texts; some may have no row.
        codes: int32 [rows], position in `values`, `MISSING` for no value.
    """

    values: tuple[str, ...]
    codes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[np.int64]) -> Categories:
        """The given rows, with the same values."""
        found = Categories(self.values, taken(self.codes, rows))
        vars(found)["hashes"] = self.hashes
        return found

    def text(self) -> list[str | None]:
        """Every row's text, None where it is missing."""
        return [None if code == MISSING else self.values[code] for code in self.codes]

    @cached_property
    def hashes(self) -> TextHashes:
        """Of the values; columns that are taken from this one share them."""
        return TextHashes(self.values)

    @cached_property
    def present(self) -> tuple[str, ...]:
        """The values that have a row, sorted."""
        return tuple(sorted(value for value, count in zip(self.values, self.counts, strict=True) if count))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many rows have each value, int64 [values]."""
        total = np.zeros(len(self.values) + 1, dtype=np.int64)
        for part in slices(len(self), self.codes):
            total += np.bincount(self.codes[part] - MISSING, minlength=len(total))
        return total[1:]

    def missing(self) -> int:
        """Number of rows without a value."""
        return len(self) - int(self.counts.sum())

    def renamed(self, texts: Sequence[str]) -> Categories:
        """With another text for every value; values of one text become one."""
        values = tuple(dict.fromkeys(texts))
        if values == self.values:
            return self
        position = {text: code for code, text in enumerate(values)}
        # One entry more than there are values, so that MISSING, the last one, stays MISSING.
        recode = np.array([*(position[text] for text in texts), MISSING], dtype=np.int32)
        parts = (recode[self.codes[part]] for part in slices(len(self), self.codes))
        return Categories(values, stored(np.int32, len(self), parts))

    def plain(self) -> Categories:
        """In the one spelling of every value, as the config and the policy have it: see `plain_text`."""
        return self.renamed([plain_text(value) for value in self.values])

    @classmethod
    def of(cls, values: Sequence[Any] | NDArray[Any]) -> Categories:
        """From values in memory, each by its `value_text`.

        Raises:
            UnicodeDecodeError: bytes that are not UTF-8.
        """
        array = np.asarray(values)
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8")
        if array.dtype.kind in "iub":
            unique, inverse = np.unique(array, return_inverse=True)
            return cls(tuple(str(item) for item in unique.tolist()), inverse.astype(np.int32))
        # numpy's own floats and moments, of which Python's have more digits than were given, or fewer.
        texts = [value_text(item) for item in (array if array.dtype.kind in "fM" else array.tolist())]
        distinct = sorted({item for item in texts if item is not None})
        code = {item: position for position, item in enumerate(distinct)}
        return cls(tuple(distinct), np.array([MISSING if t is None else code[t] for t in texts], dtype=np.int32))


Column = NDArray[Any] | Categories | LazyColumn


def arrays_of(columns: Iterable[Column]) -> list[NDArray[Any]]:
    """What columns have in memory or in a temporary file: their numbers, and the codes of texts."""
    kept = [column.codes if isinstance(column, Categories) else column for column in columns]
    return [column for column in kept if isinstance(column, np.ndarray)]


def is_signal(column: Column) -> bool:
    """Whether cells are never equal by chance: pictures and signals, [rows, ., ., ...]."""
    return (isinstance(column, np.ndarray) and column.ndim > 2) or _is_picture(column)


def is_array(column: Column) -> bool:
    """Whether cells are pictures, signals or rows of numbers, [rows, ., ...]."""
    return (isinstance(column, np.ndarray) and column.ndim > 1) or _is_picture(column)


def _is_picture(column: Column) -> bool:
    return isinstance(column, LazyColumn) and not column.coincide


def is_constant(column: Column) -> bool:
    """Whether several rows are all equal; pictures are not compared."""
    if not isinstance(column, np.ndarray):
        return False
    return len(column) > 1 and all(np.array_equal(row, column[0]) for row in column[1:])


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length: `Categories`, arrays [rows] or [rows, ...] of numbers, pictures or texts on demand."""

    columns: Mapping[str, Column]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def take(self, rows: NDArray[np.int64]) -> Table:
        """The given rows."""
        return Table(
            {
                name: _taken(column, rows) if isinstance(column, np.ndarray) else column.take(rows)
                for name, column in self.columns.items()
            }
        )


def _taken(column: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The given rows of a column of numbers, or of arrays, which are in memory."""
    return taken(column, rows) if column.ndim == 1 else column[rows]
