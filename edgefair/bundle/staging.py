"""Build a bundle beside its destination and move it there in one step."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgefair.bundle.manifest import is_bundle
from edgefair.errors import UsageError
from edgefair.files import fsync_directory

AT_FDCWD = -100
RENAME_EXCHANGE = 2


@contextmanager
def staging(destination: Path) -> Iterator[Path]:
    """A folder beside `destination`, on the same file system, removed when the block ends unless published.

    Folders above it that had to be made are removed too where they are still empty.

    Folders that killed exports left behind are removed first.

    Raises:
        UsageError: the destination is not a place where a bundle can be written.
    """
    _check(destination)
    parent = destination.parent
    made = [path for path in (parent, *parent.parents) if not path.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(destination)
        folder = parent / f".{destination.name}.partial-{os.getpid()}"
        folder.mkdir()
    except OSError as error:
        raise UsageError(
            f"cannot write to '{parent}': {error.strerror}",
            expected="a folder that can be written",
            fix="choose another destination with -o",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for path in made:
            with suppress(OSError):  # it holds a bundle or a report by now
                path.rmdir()


def publish(folder: Path, destination: Path) -> None:
    """Make `folder` the bundle at `destination`: afterwards, and after a crash at any moment, whole or not there.

    An older bundle is exchanged in one system call where the file system can do that.

    Raises:
        OSError: the disk is full or read-only; the destination is as it was.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            fsync_directory(path)
    fsync_directory(folder)
    if not destination.exists():
        folder.rename(destination)
    elif not _exchange(folder, destination):
        aside = destination.parent / f".{destination.name}.old-{os.getpid()}"
        destination.rename(aside)
        folder.rename(destination)
        aside.rename(folder)
    fsync_directory(destination.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders atomically; False where the platform cannot (renameat2(2), Linux 3.15)."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.ENOSYS, errno.EINVAL}:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _check(destination: Path) -> None:
    if destination.is_file() or destination.is_symlink():
        raise UsageError(f"'{destination}' is a file", expected="a folder to write the bundle to", fix="choose -o OUT")
    if destination.is_dir() and any(destination.iterdir()) and not is_bundle(destination):
        raise UsageError(
            f"'{destination}' holds other files",
            expected="an empty folder, an older bundle, or a path where nothing is",
            fix="choose another destination with -o",
        )


def _remove_abandoned(destination: Path) -> None:
    pattern = re.compile(rf"\.{re.escape(destination.name)}\.(partial|old)-(\d+)")
    for path in destination.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match and not _alive(int(match.group(2))):
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
