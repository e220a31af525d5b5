"""Rows as graph inputs in whatever order they are asked for, each made once where all of them fit into memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgefair.probe.onnx_files.spec import ModelSpec

Arrays = Mapping[str, NDArray[Any]]


class Encodable(Protocol):
    """What is needed of rows (`data.rows.TableRows`, where it is described)."""

    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.int64]) -> Encodable:
        """The given rows."""
        ...

    def inputs(self, spec: ModelSpec, batch_rows: int) -> Generator[dict[str, NDArray[Any]], None, None]:
        """The rows as graph inputs, in order, so many at a time."""
        ...

    def batch_rows(self, spec: ModelSpec, most: int) -> int:
        """Rows of a batch that fits into little memory."""
        ...

    def row_bytes(self, spec: ModelSpec) -> int:
        """Bytes of one row's inputs."""
        ...


class EncodedRows:
    """Rows of a table as graph inputs, for passes that come again and again.

    The pieces of a pass are small, so what waits for its use (`data.files.lazy.ahead`) is a few pieces and not a few
    batches.

    Args:
        row_bytes: rows that take more than this, as graph inputs, are made anew for every pass; the others are made
            when they are first asked for and held from then on.
    """

    def __init__(self, rows: Encodable, spec: ModelSpec, *, row_bytes: float) -> None:
        self._rows = rows
        self._spec = spec
        self._fit = rows.row_bytes(spec) <= row_bytes
        self._piece = rows.batch_rows(spec, len(rows))
        self._held: dict[str, NDArray[Any]] = {}
        self._made = np.zeros(len(rows), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def whole(self) -> Arrays | None:
        """All rows, each input [rows, ...], once every one was made and where they are held."""
        return self._held if self._held and self._made.all() else None

    def batches(self, order: NDArray[np.int64], batch_rows: int) -> Generator[Arrays, None, None]:
        """The rows at the positions `order`, `batch_rows` at a time (the last batch may be smaller).

        Raises:
            DataError: a cell that cannot be made.
        """
        wanted = _first_uses(order[~self._made[order]]) if self._fit else order
        with closing(self._rows.take(wanted).inputs(self._spec, self._piece)) as pieces:
            if not self._fit:
                yield from _regrouped(pieces, batch_rows, len(order))
                return
            lacking = np.split(wanted, range(self._piece, len(wanted), self._piece))
            stored = zip(lacking, pieces, strict=True)
            for start in range(0, len(order), batch_rows):
                index = order[start : start + batch_rows]
                while not self._made[index].all():
                    self._store(*next(stored))
                yield {name: array[index] for name, array in self._held.items()}

    def _store(self, index: NDArray[np.int64], piece: Arrays) -> None:
        for name, array in piece.items():
            if name not in self._held:
                self._held[name] = np.empty((len(self), *array.shape[1:]), array.dtype)
            self._held[name][index] = array
        self._made[index] = True


def _first_uses(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every position once, in the order in which it first appears."""
    _, first = np.unique(order, return_index=True)
    found: NDArray[np.int64] = order[np.sort(first)]
    return found


def _regrouped(pieces: Iterator[Arrays], batch_rows: int, rows: int) -> Iterator[Arrays]:
    """Pieces of any size as batches of one size, of so many rows in all (the last batch may be smaller)."""
    batch: dict[str, NDArray[Any]] = {}
    filled = 0
    for piece in pieces:
        size, start = len(next(iter(piece.values()))), 0
        while start < size:
            if not batch:
                batch = {n: np.empty((min(batch_rows, rows), *x.shape[1:]), x.dtype) for n, x in piece.items()}
            room = len(next(iter(batch.values()))) - filled
            step = min(size - start, room)
            for name, array in piece.items():
                batch[name][filled : filled + step] = array[start : start + step]
            filled, start = filled + step, start + step
            if step == room:
                yield batch
                batch, rows, filled = {}, rows - filled, 0
