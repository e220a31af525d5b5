"""The one digest function, the one atomic write, the size of a file when packed, and how a path is shown to others."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
import zlib
from functools import partial
from pathlib import Path
from typing import Any, overload

from edgefair.locks import let_go, lock_new, remove_abandoned
from edgefair.probe.system.files import open_file, set_mode, sync_folder

# What a name under way begins with: `.NAME.partial-`, and some letters of its own.
PARTIAL = ".{}.partial-"
# Bytes of a file that are held while it is packed.
PIECE = 1 << 20


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def packed_bytes(path: Path) -> int:
    """Bytes of a file when deflated (zlib, level 9), as in an archive: zeros and shared weights count here.

    Raises:
        OSError: it cannot be read.
    """
    packer, size = zlib.compressobj(9), 0
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            size += len(packer.compress(piece))
    return size + len(packer.flush())


def sha256_json(value: Any) -> str:
    """SHA-256 of a JSON value in one canonical spelling (sorted keys, no spaces), hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def cache_folder(kind: str) -> Path:
    """Where what can be made again is kept: $XDG_CACHE_HOME/edgefair/KIND, by default below ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgefair" / kind


@overload
def as_path(value: str | Path) -> Path: ...
@overload
def as_path(value: None) -> None: ...
@overload
def as_path(value: str | Path | None) -> Path | None: ...
def as_path(value: str | Path | None) -> Path | None:
    """The path that a caller of the Python interface names, as text or as a path; None stays None."""
    return None if value is None else Path(value)


def shown(path: Path | str, base: Path) -> str:
    """A path as whoever gets a report or a bundle may read it: never where it lay on the machine that made it.

    A relative one stays as it was typed. An absolute one becomes relative to `base`, the project's folder; outside of
    it only the name is left.
    """
    path = Path(path)
    if not path.is_absolute():
        return path.as_posix()
    inside = next((item for item in (path, path.resolve()) if item.is_relative_to(base)), None)
    return path.name if inside is None else inside.relative_to(base).as_posix()


def shown_in(value: Any, base: Path) -> Any:
    """A JSON value in which every text that is the absolute path of something is `shown`."""
    if isinstance(value, dict):
        return {key: shown_in(item, base) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown_in(item, base) for item in value]
    # Not `Path.exists`, which raises where a text is too long to be a name.
    if isinstance(value, str) and Path(value).is_absolute() and os.path.exists(value):  # noqa: PTH110
        return shown(value, base)
    return value


def write_atomic(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a part.

    A file that exists keeps its permissions; a new one gets those of the umask. A symbolic link is replaced, and what
    it points to stays as it is. What killed writers of the same file left beside it is removed.

    Args:
        private: a new file is for its owner alone, whatever the umask gives to others.

    Raises:
        OSError: the folder cannot be written, the disk is full, or the name is not a file's; it is untouched then.
    """
    mode = _mode(path)
    remove_abandoned(path.parent, PARTIAL.format(path.name))
    while not _placed(path, content, mode, private=private):
        pass
    sync_folder(path.parent)


def _placed(path: Path, content: bytes, mode: int | None, *, private: bool) -> bool:
    """Write a new file and move it to its place; False where another writer took it for abandoned just then."""
    descriptor, temporary = _new_file(path, 0o600 if private or mode is not None else 0o666)
    try:
        _fill(descriptor, content, mode)
        let_go(descriptor, partial(temporary.replace, path))
    except FileNotFoundError:  # the next try finds out where the folder is gone
        return False
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return True


def _fill(descriptor: int, content: bytes, mode: int | None) -> None:
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(content)
        if mode is not None:
            set_mode(descriptor, mode)
        os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _mode(path: Path) -> int | None:
    """The permissions of a file that exists already; None for a link or where nothing is."""
    try:
        found = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(found):
        return stat.S_IMODE(found)
    if stat.S_ISLNK(found):
        return None
    raise OSError(errno.EEXIST, "it is not a file", str(path))


def _new_file(path: Path, mode: int) -> tuple[int, Path]:
    """A new, locked file beside `path`, with the permissions that the umask leaves of `mode`."""
    while True:
        temporary = path.with_name(PARTIAL.format(path.name) + secrets.token_hex(4))
        descriptor = open_file(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        if lock_new(descriptor):
            return descriptor, temporary
        os.close(descriptor)
