"""Columns of one value per row, in memory or in a file that nobody else sees, and going over them slice by slice."""

from __future__ import annotations

import mmap
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgefair.errors import UsageError
from edgefair.probe.system.files import leave_memory

# Of all columns together that stay in memory; those that come later go to a file.
HELD_BYTES = 64 << 20
# A column that is no larger stays there whatever others there are.
SMALL_BYTES = 1 << 20
# Rows of a slice.
SLICE = 1 << 16
# Of a temporary file, which columns share, lest each takes a descriptor.
FILE_BYTES = 64 << 20

Value = TypeVar("Value", bound=np.generic)


class _Held:
    """Bytes of the columns that are in memory."""

    def __init__(self) -> None:
        self.bytes = 0
        # A column may end while this very thread counts another.
        self._counting = threading.RLock()

    def take(self, size: int) -> bool:
        """Count a column, if there is room for it."""
        with self._counting:
            fits = self.bytes + size <= HELD_BYTES
            self.bytes += size if fits else 0
            return fits

    def end(self, size: int) -> None:
        """A column is no more."""
        with self._counting:
            self.bytes -= size


class _File:
    """A temporary file without a name, and its bytes as memory. It ends with the last column that lies in it.

    The file is written and not its memory: a full disk is an error then, and not the end of the process.
    """

    def __init__(self, size: int) -> None:
        self._stream = tempfile.TemporaryFile(prefix="edgefair-")  # noqa: SIM115
        self._stream.truncate(size)
        self.memory = mmap.mmap(self._stream.fileno(), size)
        self._used = 0
        self._writing = threading.Lock()

    def room(self, size: int) -> int | None:
        """Where so many bytes are free, which they are not any more; None where there are not so many."""
        start = -(-self._used // mmap.PAGESIZE) * mmap.PAGESIZE
        if start + size > len(self.memory):
            return None
        self._used = start + size
        return start

    def write(self, start: int, part: NDArray[Any]) -> None:
        """Write from a place on (OSError)."""
        with self._writing:
            self._stream.seek(start)
            self._stream.write(part.view(np.uint8).data)
            self._stream.flush()


class _Files:
    """The temporary file that columns go to, one after the other."""

    def __init__(self) -> None:
        self._last: _File | None = None
        self._choosing = threading.Lock()

    def room(self, size: int) -> tuple[_File, int]:
        """A file and a place in it for so many bytes (OSError)."""
        with self._choosing:
            start = None if self._last is None else self._last.room(size)
            if self._last is None or start is None:
                self._last = _File(max(size, FILE_BYTES))
                start = self._last.room(size) or 0
            return self._last, start


_held = _Held()
_files = _Files()


class Growing:
    """A column that is made part by part.

    Args:
        rows: at most.

    Raises:
        UsageError: no file can be made for it.
    """

    def __init__(self, dtype: DTypeLike, rows: int) -> None:
        kind = np.dtype(dtype)
        size = rows * kind.itemsize
        self._rows, self._file, self._start = 0, None, 0
        if size <= SMALL_BYTES or _held.take(size):
            self._array = np.empty(rows, dtype=kind)
            if size > SMALL_BYTES:
                weakref.finalize(self._array, _held.end, size)
            return
        try:
            self._file, self._start = _files.room(size)
        except OSError as error:
            raise _no_room(error) from error
        self._array = np.ndarray(rows, kind, self._file.memory, self._start)

    def __len__(self) -> int:
        return self._rows

    def append(self, part: NDArray[Any]) -> None:
        """Add some rows.

        Raises:
            UsageError: the disk is full.
            ValueError: they are more than there is room for.
        """
        start, self._rows = self._rows, self._rows + len(part)
        if self._rows > len(self._array):
            raise ValueError(f"{self._rows:,} rows of {len(self._array):,}")
        if self._file is None:
            self._array[start : self._rows] = part
            return
        place = self._start + start * self._array.itemsize
        try:
            self._file.write(place, np.ascontiguousarray(part, dtype=self._array.dtype))
        except OSError as error:
            raise _no_room(error) from error

    @property
    def column(self) -> NDArray[Any]:
        """The rows that were added, [rows]."""
        return self._array[: self._rows]


def _no_room(error: OSError) -> UsageError:
    return UsageError(
        f"columns of the rows do not fit into memory, and cannot be kept in '{tempfile.gettempdir()}': "
        f"{error.strerror or error}",
        expected="room on the disk for temporary files",
        fix="free some, or set the environment variable TMPDIR to a folder that has more",
    )


def stored(dtype: type[Value], rows: int, parts: Iterable[NDArray[Any]]) -> NDArray[Value]:
    """A column of its parts, [rows].

    Args:
        rows: of all parts together, at most.

    Raises:
        UsageError: it does not fit into memory, and the disk is full.
    """
    growing = Growing(dtype, rows)
    for part in parts:
        growing.append(part)
    return growing.column


def slices(rows: int, *columns: NDArray[Any], size: int = SLICE) -> Iterator[slice]:
    """The rows in order, some at a time. What was read of the columns meanwhile leaves the memory after each slice."""
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))
        let_go(*columns)


def let_go(*columns: NDArray[Any]) -> None:
    """Columns that lie in a file leave the memory, until they are read again."""
    for memory in {_memory(column) for column in columns}:
        if memory is not None:
            leave_memory(memory)


def taken(column: NDArray[Value], positions: NDArray[np.int64]) -> NDArray[Value]:
    """The rows at some positions, in their order.

    Raises:
        UsageError: they do not fit into memory, and the disk is full.
    """
    parts = slices(len(positions), positions)
    if _memory(column) is None:
        return stored(column.dtype.type, len(positions), (column[positions[part]] for part in parts))
    return stored(column.dtype.type, len(positions), (_gathered(column, positions[part]) for part in parts))


def _gathered(column: NDArray[Value], positions: NDArray[np.int64]) -> NDArray[Value]:
    """As `column[positions]`, in the order of the file: a page is read once, and few are in memory at a time."""
    order = np.argsort(positions, kind="stable")
    ordered = positions[order]
    found = np.empty(len(positions), dtype=column.dtype)
    ends = np.searchsorted(ordered, np.arange(0, len(column) + SLICE, SLICE))
    for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        if stop > start:
            found[order[start:stop]] = column[ordered[start:stop]]
            let_go(column)
    return found


def _memory(column: NDArray[Any]) -> mmap.mmap | None:
    """The file that a column lies in; None where it is in memory."""
    base: Any = column
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
