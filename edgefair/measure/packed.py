"""How large a model file is for transport."""

from __future__ import annotations

import zlib
from pathlib import Path

LEVEL = 9
PIECE = 1 << 20


def packed_bytes(path: Path) -> int:
    """Bytes of a file when deflated (zlib, level 9), as in an archive: zeros and shared weights count here.

    Raises:
        OSError: it cannot be read.
    """
    packer, size = zlib.compressobj(LEVEL), 0
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            size += len(packer.compress(piece))
    return size + len(packer.flush())
