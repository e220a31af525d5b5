"""Content hashes of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.ranges import in_ranges
from edgefair.columns.stored import let_go, slices, stored
from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories, Column, arrays_of
from edgefair.data.files.text_hashes import bytes_hash

# Rows that are hashed at a time: what is in between stays in the processor's cache.
PART = 1 << 14


def hash_rows(columns: Mapping[str, Column], *, rows: int) -> NDArray[np.uint64]:
    """A 64-bit hash of each row, uint64 [rows].

    It depends on the names and the values of the columns, and not on their order, on the order of the rows, on the
    coding of text or on the width of a number's type.
    """
    mixed = [_mixed(column, text_hash(name)) for name, column in columns.items()]

    def total(part: slice) -> NDArray[np.uint64]:
        found = np.zeros(part.stop - part.start, dtype=np.uint64)
        for mixed_of in mixed:
            found += mixed_of(part)
        return mix(found)

    parts = slices(rows, *arrays_of(columns.values()), size=PART)
    return stored(np.uint64, rows, map(total, parts))


@dataclass(frozen=True)
class Content:
    """What rows hold, whatever their order.

    Attributes:
        different: how many of them differ.
        digest: SHA-256 over their sorted hashes and the names of the columns.
    """

    different: int
    digest: str

    @classmethod
    def of(cls, hashes: NDArray[np.uint64], columns: Iterable[str]) -> Self:
        """Of the rows with these hashes, uint64 [rows], and columns."""
        digest, different = hashlib.sha256("\0".join(sorted(columns)).encode()), 0
        for (found,) in in_ranges(hashes):
            different += len(found.values)
            for part in found.repeated():
                digest.update(part.astype("<u8", copy=False).data)
        return cls(different, digest.hexdigest())


def drawn(keys: NDArray[np.uint64], share: float, *, seed: int, salt: str) -> NDArray[np.bool_]:
    """Which keys a draw takes, bool [rows]: about `share` of those that differ.

    A key is taken iff hash(seed, salt, key) / 2^64 < share, whatever other keys there are and in whatever order.

    Args:
        keys: hashes, uint64 [rows].
        salt: what the draw is for; draws with other salts are independent.
    """
    taken: NDArray[np.bool_] = mix(keys + text_hash(f"{seed} {salt}")) < np.uint64(int(share * 2**64))
    return taken


def numbered(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Other hashes, of each hash and of how many equal ones stand before it: equal ones become different."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    before = np.empty(len(hashes), dtype=np.uint64)
    before[order] = np.arange(len(hashes)) - np.repeat(starts, np.diff(np.append(starts, len(hashes))))
    return joint(hashes, before)


def joint(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of each pair, uint64 [rows]."""
    return mix(one + mix(other ^ text_hash("joint")))


def _mixed(column: Column, name: np.uint64) -> Callable[[slice], NDArray[np.uint64]]:
    """What hashes the values of some rows in a column of that name, uint64 [rows]."""
    if isinstance(column, Categories):
        # Of every text once: rows are many more.
        codes, texts = column.codes, mix(column.hashes.array ^ name)
        let_go(column.hashes.array)
        return lambda part: texts[codes[part]]
    hashes = column.hashes if isinstance(column, LazyColumn) else None
    values = np.empty(0) if isinstance(column, LazyColumn) else column
    return lambda part: mix((_values(values[part]) if hashes is None else hashes[part]) ^ name)


def _values(column: NDArray[Any]) -> NDArray[np.uint64]:
    if column.ndim == 1:
        numbers = column.astype(np.float64) + 0.0
        # One NaN of the many that there are: all of them are the same missing value.
        numbers[np.isnan(numbers)] = np.nan
        return mix(numbers.view(np.uint64))
    return np.array([bytes_hash(row.tobytes()) for row in column], dtype=np.uint64)


def hash_categories(column: Categories) -> NDArray[np.uint64]:
    """A hash of every row's text, 0 where it is missing and whatever its spelling (`plain_text`): uint64 [rows]."""
    texts = column.hashes.array
    found = stored(np.uint64, len(column), (texts[column.codes[part]] for part in slices(len(column), column.codes)))
    let_go(texts)
    return found


def text_hash(text: str) -> np.uint64:
    """The hash of a text, whatever column it is in."""
    return np.uint64(bytes_hash(text.encode()))


def mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of splitmix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    x = x ^ (x >> np.uint64(30))
    x = x * np.uint64(0xBF58476D1CE4E5B9)
    x = x ^ (x >> np.uint64(27))
    x = x * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
