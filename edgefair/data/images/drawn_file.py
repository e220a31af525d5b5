"""A file of drawn pictures, which keeps each so that it is drawn once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from edgefair.files import cache_folder
from edgefair.probe.system.files import open_file, read_at, write_at

DIGEST_BYTES = 16


class DrawnFile:
    """Records of equal length by number, each behind its digest. Safe from several threads and processes.

    A record that was never written, or half (a killed process, a full disk, a lost block), does not match its digest
    and is drawn again: writers need no lock, because all of them write the same bytes. Without a folder that can be
    written, the file is a temporary one.
    """

    def __init__(self, name: str, record_bytes: int) -> None:
        self._bytes = record_bytes
        self._descriptor = _opened(cache_folder("pictures") / name)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def read(self, number: int) -> bytes | None:
        """A record; None if it is not there, or not whole."""
        size = DIGEST_BYTES + self._bytes
        found = read_at(self._descriptor, size, number * size)
        digest, record = found[:DIGEST_BYTES], found[DIGEST_BYTES:]
        return record if len(found) == size and _digest(record) == digest else None

    def write(self, number: int, record: bytes) -> None:
        """Keep a record; where the disk is full, it is not kept."""
        with contextlib.suppress(OSError):
            write_at(self._descriptor, _digest(record) + record, number * (DIGEST_BYTES + self._bytes))


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open_file(path, os.O_RDWR | os.O_CREAT)
    except OSError:
        with tempfile.TemporaryFile(prefix="edgefair-") as stream:
            return os.dup(stream.fileno())


def _digest(record: bytes) -> bytes:
    return hashlib.blake2b(record, digest_size=DIGEST_BYTES).digest()
