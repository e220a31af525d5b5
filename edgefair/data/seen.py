"""The rows that a model has seen, as a small file of hashes that travels with it."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from edgefair.data.hashing import hash_categories
from edgefair.data.rows import Rows
from edgefair.errors import ModelError
from edgefair.probe.spec import ModelSpec

SEEN_SCHEMA = "edgefair.seen/1"
SEEN = "seen_rows.npz"

Hashes = NDArray[np.uint64]


def columns_of(spec: ModelSpec) -> tuple[str, ...]:
    """The raw features that a model sees, sorted."""
    names = {column.name for item in spec.inputs for column in item.columns}
    for item in spec.inputs:
        names |= {part.column for part in (item.picture, item.tokens) if part is not None}
        names |= {item.array} if item.array is not None else set()
    return tuple(sorted(names))


@dataclass(frozen=True, eq=False)
class SeenRows:
    """Hashes of rows, each sorted and as often as it occurs: uint64 [rows].

    Attributes:
        columns: the features whose values `content` is of: those that the model sees. Neither the label nor the
            groups are, so that no row hides behind a new coding of them.
        ids: of declared ids, whatever the name of their column; None where none were declared.
        arrays: of pictures or signals, which are never equal by chance; None where there are none.
    """

    columns: tuple[str, ...]
    content: Hashes
    ids: Hashes | None = None
    arrays: Hashes | None = None

    @classmethod
    def of(cls, parts: Sequence[Rows], columns: Sequence[str]) -> SeenRows:
        """Of some rows, all of one data set.

        Raises:
            DataError: a column that the data does not offer.
        """
        ids = [hash_categories(rows.ids) for rows in parts if rows.ids is not None]
        arrays = [found for rows in parts if (found := rows.array_hashes_of(columns)) is not None]
        return cls(
            columns=tuple(sorted(columns)),
            content=np.sort(np.concatenate([rows.hashes_of(columns) for rows in parts])),
            ids=np.sort(np.concatenate(ids)) if ids else None,
            arrays=np.sort(np.concatenate(arrays)) if arrays else None,
        )

    @cached_property
    def content_bytes(self) -> bytes:
        """The file: an uncompressed .npz without pickle, the same bytes for the same rows."""
        facts = json.dumps({"schema": SEEN_SCHEMA, "columns": list(self.columns)}, ensure_ascii=False).encode()
        hashes = {"content": self.content, "ids": self.ids, "arrays": self.arrays}
        members: dict[str, Any] = {"facts": np.frombuffer(facts, dtype=np.uint8)}
        members |= {name: array.astype("<u8") for name, array in hashes.items() if array is not None}
        buffer = io.BytesIO()
        np.savez(buffer, **members)
        return buffer.getvalue()

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.content_bytes).hexdigest()


def united(parts: Sequence[SeenRows]) -> SeenRows:
    """What a model has seen that has seen each of these: a hash as often as where it occurs most.

    Raises:
        ModelError: they are of models that see other features.
    """
    first = parts[0]
    if other := [item.columns for item in parts if item.columns != first.columns]:
        raise ModelError(f"models of one bundle see other features: {first.columns} and {other[0]}")
    return SeenRows(
        columns=first.columns,
        content=_union([item.content for item in parts]),
        ids=_union_of_some([item.ids for item in parts]),
        arrays=_union_of_some([item.arrays for item in parts]),
    )


def _union_of_some(parts: Sequence[Hashes | None]) -> Hashes | None:
    found = [part for part in parts if part is not None]
    return _union(found) if found else None


def _union(parts: Sequence[Hashes]) -> Hashes:
    values = np.unique(np.concatenate(parts))
    most = np.zeros(len(values), dtype=np.int64)
    for part in parts:
        own, times = np.unique(part, return_counts=True)
        place = np.searchsorted(values, own)
        most[place] = np.maximum(most[place], times)
    return np.repeat(values, most)


def read_seen(path: Path) -> SeenRows:
    """Read such a file; nothing larger than the file is ever held.

    Raises:
        ModelError: it cannot be read, or is not what `SeenRows` writes.
    """
    try:
        members = _members(path.read_bytes())
        facts = json.loads(members.pop("facts").tobytes())
        columns = facts["columns"]
        if facts["schema"] != SEEN_SCHEMA or set(facts) != {"schema", "columns"}:
            raise ValueError(f"not {SEEN_SCHEMA}")
        if not columns or not all(isinstance(name, str) for name in columns) or columns != sorted(set(columns)):
            raise ValueError("its columns are no names")
        for name, array in members.items():
            if array.dtype != np.dtype("<u8") or not bool(np.all(array[1:] >= array[:-1])):
                raise ValueError(f"'{name}' is not sorted 64-bit hashes")
        hashes = {name: array.astype(np.uint64) for name, array in members.items()}
        return SeenRows(tuple(columns), hashes.pop("content"), **hashes)
    except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"'{path}' cannot be read: {error}",
            expected="the rows that a model has seen, as `edgefair train` or `edgefair export` wrote them",
            fix="copy it again, or train or export again",
        ) from error


def _members(content: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        if len(entries) != len(archive.infolist()) or not {"facts", "content"} <= set(entries) <= {
            *("facts", "content", "ids", "arrays")
        }:
            raise ValueError(f"it holds {', '.join(sorted(entries)) or 'nothing'}")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise ValueError("it is compressed")
        return {name: _array(archive.read(entry)) for name, entry in entries.items()}


def _array(member: bytes) -> NDArray[Any]:
    """An array of one dimension; its size is compared before anything is allocated, as numpy would not."""
    stream = io.BytesIO(member)
    if npy.read_magic(stream) != (1, 0):
        raise ValueError("it is of another version of .npy")
    shape, _, dtype = npy.read_array_header_1_0(stream)
    size = len(member) - stream.tell()
    if len(shape) != 1 or dtype not in (np.dtype("<u8"), np.dtype(np.uint8)) or shape[0] * dtype.itemsize != size:
        raise ValueError(f"an array {shape} of {dtype} in {size} bytes")
    return np.frombuffer(member, dtype=dtype, offset=stream.tell())
