"""Files, with what POSIX has more than Windows where there is more."""

from __future__ import annotations

import errno
import mmap
import os
import stat
import sys
import threading
from pathlib import Path
from typing import Optional, Union

PathLike = Union[str, Path]

# Windows neither moves nor removes a file that is open; its permission bits do not say who may read one.
WINDOWS: bool = sys.platform == "win32"
# Bytes as they are, and closed in programs that this one starts.
PLAIN = sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOINHERIT", "O_CLOEXEC"))
# Opening a pipe would wait for its writer, and a terminal would become this process's own.
AT_ONCE = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY"))
_NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_FOLDER: int = getattr(os, "O_DIRECTORY", 0)
# Of the file position, where reading at a place has to move it.
_moving = threading.Lock()


def open_file(path: PathLike, flags: int, mode: int = 0o666, *, follow: bool = True) -> int:
    """The descriptor of a file, whose bytes are read and written as they are.

    flags, mode: as of `os.open`. follow: whether it may be a symbolic link. Where the system cannot refuse links while
    it opens, one that is put there at this moment is followed.

    Raises:
        OSError: it cannot be opened; ELOOP for a link that is not followed.
    """
    if follow:
        return os.open(path, flags | PLAIN, mode)
    if not _NO_FOLLOW and Path(path).is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return os.open(path, flags | PLAIN | _NO_FOLLOW, mode)


def open_in(folder: Path, name: str, flags: int, mode: int) -> int:
    """The descriptor of a file in a folder that is no link, also if the folder is replaced at this moment.

    Raises:
        OSError: as `open_file`.
    """
    if not _FOLDER or os.open not in os.supports_dir_fd:
        if folder.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
        return open_file(folder / name, flags, mode, follow=False)
    descriptor = os.open(folder, os.O_RDONLY | _FOLDER | _NO_FOLLOW)
    try:
        return os.open(name, flags | PLAIN | _NO_FOLLOW, mode, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def wait_again(descriptor: int) -> None:
    """Let a file that was opened AT_ONCE be read as any other."""
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)


def read_at(descriptor: int, count: int, place: int) -> bytes:
    """At most `count` bytes from a place on, from several threads at once."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, count, place)
    with _moving:
        os.lseek(descriptor, place, os.SEEK_SET)
        return os.read(descriptor, count)


def write_at(descriptor: int, content: bytes, place: int) -> None:
    """Write bytes from a place on, from several threads at once.

    Raises:
        OSError: the disk is full.
    """
    if hasattr(os, "pwrite"):
        os.pwrite(descriptor, content, place)
        return
    with _moving:
        os.lseek(descriptor, place, os.SEEK_SET)
        os.write(descriptor, content)


def leave_memory(mapped: mmap.mmap) -> None:
    """A file that is mapped leaves this process's memory until it is read again, where the system can be told so."""
    if hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    with path.open("r+b" if WINDOWS else "rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Make the names inside a folder durable, where a folder can be opened for that."""
    if not _FOLDER:
        return
    descriptor = os.open(path, os.O_RDONLY | _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_mode(descriptor: int, mode: int) -> None:
    """Give an open file these permissions, where a descriptor takes them."""
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)


def others_mode(path: Path) -> Optional[int]:
    """The permissions of a file that other users of this machine have a part in; None where they have none, or where
    the bits do not tell.

    Raises:
        OSError: it cannot be looked at.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    return mode if mode & stat.S_IRWXO and not WINDOWS else None
