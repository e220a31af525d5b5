"""Who is at work on a file or a folder, told by locks: the kernel takes them back however a process ends.

Process ids tell nothing: containers give them out again, and other namespaces do not see them. Locks of flock(2) hold
between containers, and between machines on NFS. On a file system without locks nothing is ever taken for abandoned
and nobody is kept out; `hold` says so.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# The file in a held folder that carries its lock: NFS locks no folders.
LOCK = ".lock"


@contextmanager
def held_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder of this process, removed when the block ends.

    Those of the same prefix that killed processes left behind are removed first.

    Raises:
        OSError: no folder can be made there.
    """
    remove_abandoned(parent, prefix)
    folder, descriptor = _new_folder(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def hold(path: Path, *, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold a lock file, which is made for this and removed afterwards; False where the file system has no locks.

    Args:
        waiting: told once before another process is waited for; None: nobody is waited for.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be made.
    """
    descriptor, held = _hold(path, waiting)
    try:
        yield held
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def abandoned(parent: Path, prefix: str) -> Iterator[Path]:
    """The files and folders with that prefix that no living process holds, the latest first; each is held meanwhile."""
    found = [entry for entry in os.scandir(parent) if entry.name.startswith(prefix)]
    for entry in sorted(found, key=_age):
        with suppress(OSError):  # held, another user's, or gone by now
            descriptor = _open(Path(entry.path))
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield Path(entry.path)
            finally:
                os.close(descriptor)


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove what killed processes left behind under that prefix."""
    for path in abandoned(parent, prefix):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def lock_new(descriptor: int) -> bool:
    """Lock a file that was just made; False where another process has taken it for abandoned in between."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks: there nobody takes anything for abandoned either
        return True
    return os.fstat(descriptor).st_nlink > 0


def _new_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with suppress(FileNotFoundError):
            descriptor = _open(folder)
            if lock_new(descriptor):
                return folder, descriptor
            os.close(descriptor)


def _hold(path: Path, waiting: Callable[[], None] | None) -> tuple[int, bool]:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            held = _locked(descriptor, waiting)
        except BaseException:
            os.close(descriptor)
            raise
        # Whoever held it before has removed the file: the next one must lock the file that has the name now.
        if not held or os.fstat(descriptor).st_nlink:
            return descriptor, held
        os.close(descriptor)


def _locked(descriptor: int, waiting: Callable[[], None] | None) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting is None:
            raise
        waiting()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _open(path: Path) -> int:
    """The descriptor that carries the lock of a file, or of a folder: that of its lock file, made where it lacks."""
    if not path.is_dir():
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        return os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    finally:
        os.close(folder)


def _age(entry: os.DirEntry[str]) -> float:
    try:
        return -entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0
