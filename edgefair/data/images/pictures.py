"""Columns of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.blobs import Blobs
from edgefair.data.files.lazy import LazyColumn, cores
from edgefair.data.files.skipped import Skipped
from edgefair.data.files.text_hashes import bytes_hash
from edgefair.data.images.decode import UnreadableError, decode, examine
from edgefair.errors import DataError
from edgefair.probe.onnx_files.spec import InputSpec, PictureSpec

EXAMPLES = 3
# Pictures that one thread examines before the next piece of work: few enough that all threads end together.
PIECE = 64
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})


@dataclass(frozen=True, eq=False)
class StoredPictures(LazyColumn):
    """Encoded pictures (JPEG, PNG, ...), decoded batch by batch.

    Attributes:
        blobs: the encoded pictures.
        rows: which of them, int64 [rows].
        hashes: of the encoded bytes, uint64 [rows].
    """

    blobs: Blobs
    rows: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    kind: ClassVar[str] = "pictures"

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The given rows."""
        return type(self)(self.blobs, self.rows[rows], self.hashes[rows])

    def encoder(self, item: InputSpec) -> Callable[[int, int], NDArray[Any]]:
        """Decode and resize as the input's spec says: uint8 [rows, height, width, channels]."""
        spec = picture_spec(item, self.kind)
        return lambda start, stop: np.stack([self._decoded(int(row), spec) for row in self.rows[start:stop]])

    def _decoded(self, row: int, spec: PictureSpec) -> NDArray[np.uint8]:
        try:
            return decode(self.blobs.read(row), spec)
        except (UnreadableError, OSError) as error:
            raise DataError(
                f"picture '{self.blobs.name(row)}' cannot be decoded: {error}",
                expected="pictures that stay readable while a command runs",
                fix="remove it from the table, or write it again",
            ) from error


def picture_spec(item: InputSpec, kind: str) -> PictureSpec:
    """The picture that an input takes.

    Raises:
        DataError: it takes something else.
    """
    if item.picture is None:
        raise DataError(
            f"the model's input '{item.name}' does not take pictures, and the data holds {kind}",
            expected="the kind of data that the model was trained on",
        )
    return item.picture


def stored_pictures(blobs: Blobs, rows: NDArray[np.int64]) -> tuple[StoredPictures, list[str | None]]:
    """Read every picture once: the column, and for each row why it cannot be used (None where it can)."""
    hashes = np.zeros(len(rows), dtype=np.uint64)
    reasons: list[str | None] = [None] * len(rows)

    def look(start: int) -> None:
        for index in range(start, min(start + PIECE, len(rows))):
            try:
                content = blobs.read(int(rows[index]))
                hashes[index] = bytes_hash(content)
                examine(content)
            except UnreadableError as error:
                reasons[index] = str(error)
            except OSError as error:
                reasons[index] = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)

    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(look, range(0, len(rows), PIECE)):
            pass
    return StoredPictures(blobs, rows, hashes), reasons


def count_skipped(reasons: Sequence[str | None], name: Callable[[int], str]) -> tuple[Skipped, ...]:
    """The rows with a reason, by reason; `name` says what a person knows a row by."""
    found: dict[str, list[int]] = {}
    for index, reason in enumerate(reasons):
        if reason is not None:
            found.setdefault(reason, []).append(index)
    return tuple(
        Skipped(reason, len(rows), tuple(name(row) for row in rows[:EXAMPLES])) for reason, rows in found.items()
    )


def check_paths(paths: Sequence[str], *, column: str) -> None:
    """Refuse a table whose paths lead out of the folder, or name one picture twice.

    Raises:
        DataError: the first such path.
    """
    for row, path in enumerate(paths):
        pure = PurePosixPath(path.replace("\\", "/"))
        if pure.is_absolute() or ".." in pure.parts or (pure.parts and pure.parts[0].endswith(":")) or "\0" in path:
            raise DataError(
                f"column '{column}', row {row}: '{path}' points outside the picture folder",
                expected="paths below data.folder",
            )
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise DataError(
            f"column '{column}' names {len(twice)} pictures more than once, for example '{twice[0]}'",
            expected="one row per picture: a person who is counted twice weighs twice",
        )


def not_in_table(folder: Path, paths: Sequence[str]) -> tuple[Skipped, ...]:
    """Pictures in the folder that no row names."""
    named = {PurePosixPath(path) for path in paths}
    extra = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and PurePosixPath(path.relative_to(folder).as_posix()) not in named
    )
    return (
        (Skipped("in the folder but not in the table", len(extra), tuple(extra[:EXAMPLES]), were_rows=False),)
        if extra
        else ()
    )
