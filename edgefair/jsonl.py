"""Logs of one JSON object a line, which processes may be killed over and people may edit."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from edgefair.probe.system.files import read_at


def entries(content: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a log, whatever lies between them: a damaged line is none."""
    for line in content.split(b"\n"):
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(item, dict):
            yield item


def append(descriptor: int, entry: Mapping[str, Any]) -> None:
    """Add an object as a line of its own, also after a line that a killed process left unfinished, or nothing at all.

    Args:
        descriptor: of the log, open for reading and appending.

    Raises:
        OSError: it cannot be written; the log is as it was.
    """
    size = os.fstat(descriptor).st_size
    torn = size > 0 and read_at(descriptor, 1, size - 1) != b"\n"
    line = (b"\n" if torn else b"") + json.dumps(entry, allow_nan=False).encode() + b"\n"
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise
