"""The bytes of picture files, read when they are needed and never all at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgefair.probe.regular import read_regular
from edgefair.probe.system.files import read_at

# Of one picture's file: above the largest that is decoded, stored without compression.
MAX_FILE_BYTES = 1 << 28


class Blobs(Protocol):
    """Many byte strings by number. Reading is safe from several threads."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes:
        """The bytes of one of them.

        Raises:
            OSError: it cannot be read.
        """
        ...

    def name(self, index: int) -> str:
        """What a person knows it by."""
        ...


class FileBlobs:
    """One file each, in or below a folder."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self.folder = folder
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> bytes:
        """The whole file."""
        return read_regular(self.folder / self.paths[index], most=MAX_FILE_BYTES)

    def name(self, index: int) -> str:
        """Its path as the table gives it."""
        return self.paths[index]


class SpilledBlobs:
    """The cells of one column of a table, moved to a temporary file that vanishes with the process."""

    def __init__(self, cells: Iterable[bytes | None], *, column: str) -> None:
        self.column = column
        self._file = tempfile.TemporaryFile(prefix="edgefair-")  # noqa: SIM115
        ends = [0]
        for cell in cells:
            ends.append(ends[-1] + self._file.write(cell or b""))
        self._file.flush()
        self._ends: NDArray[np.int64] = np.array(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def read(self, index: int) -> bytes:
        """The bytes of one cell."""
        start, end = int(self._ends[index]), int(self._ends[index + 1])
        return read_at(self._file.fileno(), end - start, start)

    def name(self, index: int) -> str:
        """Its place in the table."""
        return f"row {index} of column '{self.column}'"
