"""The rows that a model has seen, as a small file of hashes that travels with it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from edgefair.data.hashing import hash_categories
from edgefair.data.rows import Rows
from edgefair.errors import ModelError
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.probe.regular import read_regular

SEEN_SCHEMA = "edgefair.seen/2"
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
        arrays: of pictures or signals, which are never equal by chance; None where there are none, or all are alike.
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
        told_apart = any(rows.signals_differ(columns) for rows in parts)
        arrays = [found for rows in parts if told_apart and (found := rows.array_hashes_of(columns)) is not None]
        return cls(
            columns=tuple(sorted(columns)),
            content=np.sort(np.concatenate([rows.hashes_of(columns) for rows in parts])),
            ids=np.sort(np.concatenate(ids)) if ids else None,
            arrays=np.sort(np.concatenate(arrays)) if arrays else None,
        )

    def same(self, other: SeenRows) -> bool:
        """Whether both are of the same rows."""
        pairs = zip(self._arrays.values(), other._arrays.values(), strict=True)
        return self.columns == other.columns and all(
            one is two or (one is not None and two is not None and np.array_equal(one, two)) for one, two in pairs
        )

    @property
    def _arrays(self) -> dict[str, Hashes | None]:
        return {"content": self.content, "ids": self.ids, "arrays": self.arrays}


def distinct(parts: Sequence[SeenRows]) -> tuple[SeenRows, ...]:
    """The parts without repetitions, in order.

    They are not made one: how often chance puts equal rows on both sides of a split is known for each draw of people.
    """
    found: list[SeenRows] = []
    for part in parts:
        if not any(part.same(other) for other in found):
            found.append(part)
    return tuple(found)


def seen_bytes(parts: Sequence[SeenRows]) -> bytes:
    """The file of what one model has seen: an uncompressed .npz without pickle, the same bytes for the same rows.

    Raises:
        ModelError: they are of models that see other features.
    """
    different = distinct(parts)
    columns = different[0].columns
    if other := [part.columns for part in different if part.columns != columns]:
        raise ModelError(f"the models see different features: {', '.join(columns)}; {', '.join(other[0])}")
    facts = {"schema": SEEN_SCHEMA, "columns": list(columns), "parts": len(different)}
    members: dict[str, Any] = {"facts": np.frombuffer(json.dumps(facts, ensure_ascii=False).encode(), dtype=np.uint8)}
    for number, part in enumerate(different):
        members |= {
            f"{number}-{name}": found.astype("<u8") for name, found in part._arrays.items() if found is not None
        }
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    return buffer.getvalue()


def read_seen(path: Path) -> tuple[SeenRows, ...]:
    """The parts of such a file; nothing much larger than the file is ever held.

    Raises:
        ModelError: it cannot be read, or is not what `seen_bytes` makes.
    """
    try:
        members = _members(read_regular(path))
        facts = json.loads(members.pop("facts").tobytes())
        if set(facts) != {"schema", "columns", "parts"} or facts["schema"] != SEEN_SCHEMA:
            raise ValueError(f"not {SEEN_SCHEMA}")
        columns, parts = facts["columns"], facts["parts"]
        if not columns or not all(isinstance(name, str) for name in columns) or columns != sorted(set(columns)):
            raise ValueError("its columns are not names")
        if type(parts) is not int or not 0 < parts <= len(members):
            raise ValueError(f"it has {parts} parts")
        for name, array in members.items():
            if array.dtype != np.dtype("<u8") or not bool(np.all(array[1:] >= array[:-1])):
                raise ValueError(f"'{name}' is not sorted 64-bit hashes")
        hashes = {name: array.astype(np.uint64) for name, array in members.items()}
        found = tuple(
            SeenRows(
                tuple(columns),
                hashes.pop(f"{number}-content"),
                hashes.pop(f"{number}-ids", None),
                hashes.pop(f"{number}-arrays", None),
            )
            for number in range(parts)
        )
        if hashes:
            raise ValueError(f"it holds '{min(hashes)}'")
        return found
    except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"'{path}' cannot be read: {error}",
            expected="the rows that a model has seen, as `edgefair train` or `edgefair export` wrote them",
            fix="copy it again, or train or export again",
        ) from error


def _members(content: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        if len(entries) != len(archive.infolist()):
            raise ValueError("it contains a name twice")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise ValueError("it is compressed")
        if sum(entry.file_size for entry in entries.values()) > len(content):
            raise ValueError("its members overlap")
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
