"""Fields of flatbuffers, read from bytes and never beyond them.

https://flatbuffers.dev/internals: a table begins with the distance back to its vtable, which holds the size of itself,
the size of the table, and the place of each field in the table (0 where it is not there).
"""

from __future__ import annotations

import struct
from typing import Iterator, List, Optional, Tuple

import numpy as np

# Of tables and elements that one file may hold: a wrong number must not cost minutes.
MOST = 1 << 24


class Table:
    """A table in a flatbuffer; fields by their number in the schema. Every reader raises ValueError beyond the end."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content, self._at = content, at
        self._vtable = at - self._number("<i", at)
        self._size = self._number("<H", self._vtable)

    @classmethod
    def root(cls, content: bytes) -> "Table":
        """The table that a file is."""
        return cls(content, cls._read(content, "<I", 0))

    def number(self, field: int, kind: str, default: float = 0) -> float:
        """A number. kind: as `struct` writes it, of one number (`<i`, `<B`, `<f`)."""
        place = self._place(field)
        return default if place is None else self._number(kind, place)

    def whole(self, field: int, kind: str, default: int = 0) -> int:
        """As `number`, of a whole one."""
        return int(self.number(field, kind, default))

    def text(self, field: int) -> str:
        """A text; empty where there is none."""
        return self.blob(field).decode()

    def blob(self, field: int) -> bytes:
        """The bytes of a vector of bytes or a text; empty where there is none."""
        at, count = self._vector(field, 1)
        return self._content[at : at + count]

    def numbers(self, field: int, kind: str) -> Optional[List[float]]:
        """A vector of numbers (numpy's kind: `<i4`, `<i8`, `<f4`); None where there is none."""
        if self._place(field) is None:
            return None
        dtype = np.dtype(kind)
        at, count = self._vector(field, dtype.itemsize)
        found: List[float] = np.frombuffer(self._content, dtype, count, at).tolist()
        return found

    def table(self, field: int) -> Optional["Table"]:
        """A table; None where there is none."""
        place = self._place(field)
        return None if place is None else Table(self._content, place + self._number("<I", place))

    def tables(self, field: int) -> Iterator["Table"]:
        """A vector of tables."""
        at, count = self._vector(field, 4)
        for place in range(at, at + 4 * count, 4):
            yield Table(self._content, place + self._number("<I", place))

    def count(self, field: int) -> int:
        """How many elements a vector has."""
        return self._vector(field, 1)[1]

    def _place(self, field: int) -> Optional[int]:
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return None
        offset = self._number("<H", self._vtable + entry)
        return self._at + offset if offset else None

    def _vector(self, field: int, size: int) -> Tuple[int, int]:
        """Where the elements of a vector begin, and how many there are."""
        place = self._place(field)
        if place is None:
            return 0, 0
        at = place + self._number("<I", place)
        count = self._number("<I", at)
        if (size > 1 and count > MOST) or at + 4 + count * size > len(self._content):
            raise ValueError("a vector is longer than the file")
        return at + 4, count

    def _number(self, kind: str, at: int) -> int:
        return self._read(self._content, kind, at)

    @staticmethod
    def _read(content: bytes, kind: str, at: int) -> int:
        if at < 0 or at + struct.calcsize(kind) > len(content):
            raise ValueError("a field lies outside of the file")
        value: int = struct.unpack_from(kind, content, at)[0]
        return value


def begins_with(content: bytes, identifier: bytes) -> bool:
    """Whether a file is a flatbuffer with an identifier, which follows the place of its root."""
    return content[4:8] == identifier and int.from_bytes(content[:4], "little") < len(content)
