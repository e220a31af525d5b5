"""Rows of one split, ready to be encoded, counted and identified."""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.ranges import different
from edgefair.columns.stored import SLICE, let_go, slices, taken
from edgefair.data.files.lazy import LazyColumn, ahead
from edgefair.data.files.table import Categories, Column, Table, arrays_of, is_array, is_constant, is_signal
from edgefair.data.hashing import Content, hash_rows
from edgefair.errors import DataError
from edgefair.probe.onnx_files.spec import TEXT, InputSpec, ModelSpec, category_codes
from edgefair.probe.onnx_files.spec import Column as SpecColumn

BATCH_BYTES = 4 << 20
BATCH_TOKENS = 16_384


class Rows(Protocol):
    """What training, calibration and verification need to know of rows, wherever they come from."""

    def __len__(self) -> int: ...

    @property
    def label(self) -> NDArray[np.int64]:
        """Index into the classes, int64 [rows]."""
        ...

    @property
    def sensitive(self) -> Mapping[str, Categories]:
        """Attribute -> its value in every row."""
        ...

    @property
    def ids(self) -> Categories | None:
        """Declared identity of every row, if any."""
        ...

    @property
    def subject(self) -> Categories | None:
        """The person that every row belongs to, if declared."""
        ...

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """The given rows."""
        ...

    def inputs(self, spec: ModelSpec, batch_rows: int) -> Iterator[dict[str, NDArray[Any]]]:
        """The rows as graph inputs, in order, `batch_rows` at a time (the last batch may be smaller)."""
        ...

    def batch_rows(self, spec: ModelSpec, most: int) -> int:
        """Rows of a batch that fits into little memory, `most` at most."""
        ...

    @property
    def row_hashes(self) -> NDArray[np.uint64]:
        """A hash of each row's features, label and sensitive attributes, uint64 [rows]."""
        ...

    def hashes_of(self, columns: Collection[str]) -> NDArray[np.uint64]:
        """A hash of each row's values of some columns, uint64 [rows]."""
        ...

    def array_hashes_of(self, columns: Collection[str]) -> NDArray[np.uint64] | None:
        """A hash of each row's pictures or signals among some features, uint64 [rows]; None without any."""
        ...

    def signals_differ(self, columns: Collection[str]) -> bool:
        """Whether a picture or signal among some features differs between rows."""
        ...

    @property
    def array_hashes(self) -> NDArray[np.uint64] | None:
        """A hash of each row's pictures or signals alone, uint64 [rows]: never equal by chance. None without any."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, whatever the order of the rows."""
        ...


@dataclass(frozen=True, eq=False)
class TableRows:
    """Rows of a table.

    Attributes:
        features: columns that a model may see.
        label: int64 [rows]; -1 where a label design leaves a row without one.
        sensitive: attribute -> Categories [rows].
        ids: declared identity of every row, if any.
        subject: the person that every row belongs to, if declared.
        content: names of the columns that make up a row's content (features, label, sensitive).
        stratum: of the label design, int64 [rows]; None where every row has a label.
    """

    table: Table
    features: tuple[str, ...]
    label: NDArray[np.int64]
    sensitive: Mapping[str, Categories]
    ids: Categories | None
    subject: Categories | None
    content: tuple[str, ...]
    stratum: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: NDArray[np.int64]) -> TableRows:
        """The given rows; these themselves where they are all, in order."""
        if len(rows) == len(self) and all(
            np.array_equal(rows[part], np.arange(part.start, part.stop)) for part in slices(len(rows), rows)
        ):
            return self
        found = TableRows(
            table=self.table.take(rows),
            features=self.features,
            label=taken(self.label, rows),
            sensitive={name: column.take(rows) for name, column in self.sensitive.items()},
            ids=None if self.ids is None else self.ids.take(rows),
            subject=None if self.subject is None else self.subject.take(rows),
            content=self.content,
            stratum=None if self.stratum is None else taken(self.stratum, rows),
        )
        if "row_hashes" in vars(self):
            # Hashed already: what a row's hash is, no other row has a say in.
            vars(found)["row_hashes"] = taken(self.row_hashes, rows)
        return found

    def inputs(self, spec: ModelSpec, batch_rows: int) -> Generator[dict[str, NDArray[Any]], None, None]:
        """The rows as graph inputs; equal to `probe.onnx_files.spec.encode` on their raw texts and numbers.

        Raises:
            DataError: a feature of the spec is not among the features, or is of another kind.
        """
        encoders = {item.name: self._encoder(item) for item in spec.inputs}

        def make(start: int) -> dict[str, NDArray[Any]]:
            stop = min(start + batch_rows, len(self))
            return {name: encode(start, stop) for name, encode in encoders.items()}

        starts = range(0, len(self), batch_rows)
        features = [self.table.columns[name] for name in self.features]
        if any(isinstance(column, LazyColumn) for column in features):
            yield from ahead(make, starts)
            return
        read = arrays_of(features)
        for start in starts:
            yield make(start)
            if start % SLICE < batch_rows:
                let_go(*read)

    def batch_rows(self, spec: ModelSpec, most: int) -> int:
        """Rows of a batch whose inputs stay small: a network holds many times as much for each of its layers."""
        each = sum(4 * math.prod(self._row_shape(item)) for item in spec.inputs)
        tokens = sum(item.tokens.length for item in spec.inputs if item.tokens is not None)
        return max(1, min(most, BATCH_BYTES // each, BATCH_TOKENS // tokens if tokens else most))

    def row_bytes(self, spec: ModelSpec) -> int:
        """Bytes of one row's inputs."""
        return sum(_dtype(item).itemsize * math.prod(self._row_shape(item)) for item in spec.inputs)

    def _row_shape(self, item: InputSpec) -> tuple[int, ...]:
        array = None if item.array is None else self._feature(item.array)
        return array.shape[1:] if isinstance(array, np.ndarray) else item.row_shape or ()

    def _encoder(self, item: InputSpec) -> Any:
        lazy = item.picture or item.tokens
        if lazy is not None:
            cells = self._feature(lazy.column)
            if not isinstance(cells, LazyColumn):
                found = "text" if isinstance(cells, Categories) else "numbers"
                raise DataError(
                    f"feature '{lazy.column}' holds {found}, and the model's input '{item.name}' takes "
                    + ("pictures" if item.picture is not None else "tokens of a text"),
                    fix="say what the column is: data.picture, or data.text and data.tokenizer",
                )
            return cells.encoder(item)
        dtype = _dtype(item)
        if item.array is not None:
            array = self._feature(item.array)
            if not isinstance(array, np.ndarray):
                kind = array.kind if isinstance(array, LazyColumn) else "text"
                raise DataError(f"feature '{item.array}' holds {kind}", expected=f"an array for '{item.name}'")
            return lambda start, stop: np.ascontiguousarray(array[start:stop], dtype=dtype)
        sources: list[tuple[NDArray[Any], NDArray[np.int32] | None]] = []
        for column in item.columns:
            values = self._feature(column.name)
            if isinstance(values, LazyColumn):
                raise DataError(
                    f"feature '{column.name}' holds {values.kind} and the model was trained on numbers or categories"
                )
            if (column.vocabulary is None) == isinstance(values, Categories):
                found, expected = ("text", "numbers") if isinstance(values, Categories) else ("numbers", "text")
                raise DataError(
                    f"feature '{column.name}' holds {found} and the model was trained on {expected}",
                    fix="list columns of codes under data.categorical",
                )
            if isinstance(values, Categories):
                # A missing value has code -1, which picks the last entry.
                codes = category_codes([*values.values, None], column.vocabulary or (), column.missing_code)
                sources.append((values.codes, codes.astype(dtype)))
            else:
                _check_no_gap(column, values)
                sources.append((values, None))

        def encode(start: int, stop: int) -> NDArray[Any]:
            # Column by column in a row of memory each: writing every 31st number costs twice as much.
            out = np.empty((len(sources), stop - start), dtype=dtype)
            for column, (values, codes) in zip(out, sources, strict=True):
                if codes is None:
                    column[:] = values[start:stop]
                else:
                    np.take(codes, values[start:stop], out=column, mode="wrap")
            return np.ascontiguousarray(out.T)

        return encode

    def _feature(self, name: str) -> Column:
        if name not in self.features:
            raise DataError(
                f"the model needs feature '{name}', which the data does not have",
                expected="every feature that the model was trained on",
                fix="add the column, or take it out of data.exclude / data.sensitive",
            )
        return self.table.columns[name]

    def _column(self, name: str) -> Column:
        return self.table.columns[name] if name in self.table.columns else self._feature(name)

    @cached_property
    def row_hashes(self) -> NDArray[np.uint64]:
        """A 64-bit hash of each row's content, uint64 [rows]; the same in every run and for every row order."""
        return hash_rows({name: self.table.columns[name] for name in self.content}, rows=len(self))

    @cached_property
    def array_hashes(self) -> NDArray[np.uint64] | None:
        """A 64-bit hash of each row's pictures and arrays together, uint64 [rows]; None without pictures or signals.

        Matrices [rows, columns] alone are none: they may be tables of answers, which people can share.
        """
        return self.array_hashes_of(self.features)

    def hashes_of(self, columns: Collection[str]) -> NDArray[np.uint64]:
        """A 64-bit hash of each row's values of some columns (features, label, sensitive), uint64 [rows].

        Raises:
            DataError: a column that the data does not offer.
        """
        if set(columns) == set(self.content):
            return self.row_hashes
        return hash_rows({name: self._column(name) for name in columns}, rows=len(self))

    def array_hashes_of(self, columns: Collection[str]) -> NDArray[np.uint64] | None:
        """As `array_hashes`, of some features alone.

        Raises:
            DataError: a feature that the data does not offer.
        """
        found = {name: self._column(name) for name in columns}
        arrays = {name: column for name, column in found.items() if is_array(column)}
        return hash_rows(arrays, rows=len(self)) if any(map(is_signal, arrays.values())) else None

    def signals_differ(self, columns: Collection[str]) -> bool:
        """Whether a picture or signal among some features differs between rows, as a mask or a first state may be.

        Raises:
            DataError: a feature that the data does not offer.
        """
        return any(is_signal(column) and not is_constant(column) for column in map(self._column, columns))

    @cached_property
    def _content(self) -> Content:
        return Content.of(self.row_hashes, self.content)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sorted row hashes and the names of the columns."""
        return self._content.digest

    def different(self, columns: Collection[str]) -> int:
        """How many rows differ in some columns.

        Raises:
            DataError: a column that the data does not offer.
        """
        return self._content.different if set(columns) == set(self.content) else different(self.hashes_of(columns))


def _dtype(item: InputSpec) -> np.dtype[Any]:
    """Of an input on its way. Texts travel as codes; the device puts the texts in their place."""
    return np.dtype(np.int32 if item.dtype == TEXT else item.dtype)


def _check_no_gap(column: SpecColumn, values: NDArray[Any]) -> None:
    """Refuse missing numbers for a model that has nothing to put in their place, whatever the config says of them."""
    if column.missing is not None:
        return
    gaps = sum(int(np.count_nonzero(np.isnan(values[part]))) for part in slices(len(values), values))
    if gaps:
        raise DataError(
            f"feature '{column.name}' has no number in {gaps:,} rows, and the model does not handle missing values",
            expected="a model that `edgefair train` made with `data.missing: mean` or `median`, or rows without gaps",
            fix="retrain with data.missing; for a model trained elsewhere, impute as its training did",
        )
