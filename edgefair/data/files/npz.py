"""`.npz` archives as arrays of numbers and text; whatever is damaged in one is one kind of error."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.probe.regular import open_regular

# What a damaged archive makes zipfile and numpy raise: the sizes, names and types in it are all the file's own.
_DAMAGED = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError),
    *(RuntimeError, SyntaxError, SystemError, tokenize.TokenError, struct.error, zipfile.BadZipFile, zlib.error),
)
LAST_CHARACTER, SURROGATES = 0x10FFFF, 0xD800 >> 11
# A deflated file grows by 1,032 at most; beyond this share and size an array is a bomb rather than many zeros.
GROWTH, LARGE = 200, 1 << 28


class NpzError(ValueError):
    """An archive that cannot be read, or holds something else than arrays; the message says why."""


def read_npz(path: Path, choose: Callable[[list[str]], Collection[str]]) -> dict[str, NDArray[Any]]:
    """The chosen arrays, in the order of the archive.

    Raises:
        NpzError: no archive, a damaged one, one that grows beyond all measure, pickled objects, or no array.
    """
    try:
        with open_regular(path) as stream:
            if stream.read(2) != b"PK":
                raise NpzError("it is not a zip archive")
            stream.seek(0)
            with zipfile.ZipFile(stream) as archive, np.load(stream, allow_pickle=False) as arrays:
                wanted = set(choose(list(arrays.files)))
                members = {item.filename.removesuffix(".npy"): item for item in archive.infolist()}
                return {name: _array(arrays, name, members.get(name)) for name in arrays.files if name in wanted}
    except NpzError:
        raise
    except _DAMAGED as error:
        text = " ".join(str(error).split())[:300]
        raise NpzError(text or f"it is damaged ({type(error).__name__})") from error


def _array(arrays: Any, name: str, member: zipfile.ZipInfo | None) -> NDArray[Any]:
    if member is not None and member.file_size > max(LARGE, GROWTH * member.compress_size):
        raise NpzError(
            f"'{name}' grows from {member.compress_size:,} to {member.file_size:,} bytes: save it with numpy.savez, "
            "which does not compress"
        )
    array = arrays[name]
    if not isinstance(array, np.ndarray):
        raise NpzError(f"'{name}' is not an array")
    if array.dtype.kind not in "biufUSM":
        raise NpzError(f"'{name}' is an array of {array.dtype}, not of numbers, booleans or text")
    if array.dtype.kind == "U":
        # numpy makes text of any four bytes, and Python fails later and elsewhere on what is not a character.
        codes = np.frombuffer(array.tobytes(), dtype=np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if ((codes > LAST_CHARACTER) | ((codes >> 11) == SURROGATES)).any():
            raise NpzError(f"'{name}' holds text that is not Unicode")
    return array
