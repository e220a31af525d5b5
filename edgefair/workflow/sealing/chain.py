"""A log in which every line holds the digest of the line before, so that nobody can edit it or cut something out.

Haber & Stornetta, How to time-stamp a digital document, 1991. A line is a JSON object in one canonical spelling:
`previous`, the digest of the line before (zeros in the first line), and `digest`, that of its own other keys.

What it cannot show: a log that was cut at its end, or written anew as a whole, is a good chain. Whoever remembers a
digest (a ledger, a report, a bundle, a commit) can tell, as it is no longer there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgefair.files import sha256_json

START = "0" * 64


class ChainError(Exception):
    """A log that was edited or cut, and where."""


def link(previous: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The line that follows the one with the digest `previous`."""
    content = {**entry, "previous": previous}
    return {**content, "digest": sha256_json(content)}


def line_of(entry: Mapping[str, Any]) -> bytes:
    """A line as it stands in the log."""
    return (
        json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode() + b"\n"
    )


def read_chain(content: bytes) -> tuple[dict[str, Any], ...]:
    """The lines of a log, each of which follows the one before.

    Raises:
        ChainError: one does not, or is not a line of such a log.
    """
    lines = content.splitlines(keepends=True)
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            whole = isinstance(entry, dict) and line_of(entry) == line
        except (ValueError, RecursionError):
            whole = False
        if not whole:
            raise ChainError(f"line {number} is not as it was written")
        previous = found[-1]["digest"] if found else START
        if entry.get("previous") != previous:
            raise ChainError(f"line {number} does not follow the line before it")
        if entry.get("digest") != sha256_json({key: value for key, value in entry.items() if key != "digest"}):
            raise ChainError(f"line {number} was changed: its digest is another")
        found.append(entry)
    return tuple(found)
