"""Model files that the host sent: kept by their digest, so that only what changed travels, and from where it broke."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from edgefair.probe.boot import PARTIAL
from edgefair.probe.errors import ProbeError

# A search brings many models and comes back to few of them: a memory card need not hold them all.
MOST_FILES = 4
NO_SPACE = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])


class Storage:
    """A folder of files named by their sha256; those under way end with `.partial`.

    Of one session it keeps the last MOST_FILES; the host sends again what it asks for and is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: List[str] = []

    def store(self, sha256: str, size: int, offset: int, chunk: np.ndarray) -> Dict[str, Any]:
        """Add a chunk of bytes (uint8 [n]) at an offset; how many bytes are there then, and the path of the file.

        An empty chunk asks what is there. A chunk that does not begin where the file ends is not added.

        Raises:
            ProbeError: `no_space`, or `damaged` where the whole file has another digest; it is removed then.
        """
        if len(sha256) != hashlib.sha256().digest_size * 2 or not set(sha256) <= set("0123456789abcdef"):
            raise ProbeError("bad_request", f"'{sha256}' is not a sha256 digest digest digest")
        self._used = [name for name in self._used if name != sha256] + [sha256]
        whole = self._folder / sha256
        partial = self._folder / (sha256 + PARTIAL)
        if whole.is_file():
            if _sha256(whole) == sha256:
                return {"have": size, "path": str(whole)}
            whole.unlink()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            have = _append(partial, offset, chunk)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            partial.unlink(missing_ok=True)
            raise ProbeError("no_space", f"{self._folder}: {error.strerror}") from error
        if have < size:
            return {"have": have, "path": str(whole)}
        if have > size or _sha256(partial) != sha256:
            partial.unlink()
            raise ProbeError("damaged", f"{have} bytes arrived with a digest other than {sha256}")
        partial.replace(whole)
        while len(self._used) > MOST_FILES:
            (self._folder / self._used.pop(0)).unlink(missing_ok=True)
        return {"have": size, "path": str(whole)}

    def tidy(self) -> None:
        """Remove what this session did not use, and whatever is not whole."""
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path.name not in self._used:
                path.unlink()


def _append(path: Path, offset: int, chunk: np.ndarray) -> int:
    """Add bytes at the end of a file, if `offset` is its end; its size then."""
    with path.open("ab") as stream:
        if len(chunk) and stream.tell() == offset:
            stream.write(chunk.tobytes())
        return stream.tell()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
