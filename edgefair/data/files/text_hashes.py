"""Hashes of the distinct texts of a column."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import SLICE, stored
from edgefair.probe.features import plain_text


class TextHashes:
    """Hashes of texts, made when they are first asked for and kept for all columns that share the texts.

    Args:
        texts: distinct.
    """

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts = texts

    @cached_property
    def array(self) -> NDArray[np.uint64]:
        """A hash of every text, whatever its spelling (`plain_text`), and last 0, for none: uint64 [texts + 1].

        Raises:
            UsageError: they do not fit into memory, and the disk is full.
        """
        found = stored(np.uint64, len(self._texts) + 1, self._parts())
        found.flags.writeable = False
        return found

    def _parts(self) -> Iterator[NDArray[np.uint64]]:
        for start in range(0, len(self._texts), SLICE):
            part = self._texts[start : start + SLICE]
            digests = b"".join([_digest(plain_text(text).encode()) for text in part])
            yield np.frombuffer(digests, dtype="<u8").astype(np.uint64, copy=False)
        yield np.zeros(1, dtype=np.uint64)


def bytes_hash(content: bytes) -> int:
    """The first 64 bits of BLAKE2b."""
    return int.from_bytes(_digest(content), "little")


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=8).digest()
