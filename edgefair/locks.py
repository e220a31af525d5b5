"""Who is at work on a file or a folder, told by locks: the kernel takes them back however a process ends.

Process ids tell nothing: containers give them out again, and other namespaces do not see them. Locks of flock(2), and
LockFileEx on Windows, hold between containers, and those of flock between machines on NFS. On a file system without
locks nothing is ever taken for abandoned and nobody is kept out; `hold` says so.

Of filelock the lock of an open file alone is used: its own lock files stay behind, and where there are no locks it
makes do with files that outlive a killed process.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from edgefair.probe.system.files import WINDOWS, open_file, open_in

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
        let_go(descriptor, partial(shutil.rmtree, folder, ignore_errors=True))


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
        with suppress(PermissionError):  # on Windows somebody waits for it, who will remove it
            let_go(descriptor, partial(path.unlink, missing_ok=True))


def abandoned(parent: Path, prefix: str) -> Iterator[Path]:
    """The files and folders with that prefix that no living process holds, the latest first; each is held meanwhile."""
    for path, descriptor in _taken(parent, prefix):
        try:
            yield path
        finally:
            os.close(descriptor)


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove what killed processes left behind under that prefix."""
    for path, descriptor in _taken(parent, prefix):
        with suppress(OSError):
            let_go(descriptor, partial(_remove, path))


def let_go(descriptor: int, end: Callable[[], object]) -> None:
    """Move or remove the file or folder that a locked descriptor is of, and close that.

    Held until it is done; on Windows, which moves and removes no open file, closed a moment before.

    Raises:
        OSError: it cannot be done; the descriptor is closed.
    """
    if WINDOWS:
        os.close(descriptor)
        end()
        return
    try:
        end()
    finally:
        os.close(descriptor)


def lock_now(descriptor: int) -> None:
    """Lock an open file until its descriptor is closed, however that happens.

    Raises:
        BlockingIOError: another process, or another opening of the file, has it.
        OSError: the file system has no locks.
    """
    from filelock import lock_descriptor

    if not lock_descriptor(descriptor, blocking=False):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def lock_new(descriptor: int) -> bool:
    """Lock a file that was just made; False where another process has taken it for abandoned in between."""
    try:
        lock_now(descriptor)
    except BlockingIOError:
        return False
    except OSError:  # no locks: there nobody takes anything for abandoned either
        return True
    return os.fstat(descriptor).st_nlink > 0


def _taken(parent: Path, prefix: str) -> Iterator[tuple[Path, int]]:
    """What `abandoned` gives, each with the locked descriptor, which whoever takes it closes."""
    found = [entry for entry in os.scandir(parent) if entry.name.startswith(prefix)]
    for entry in sorted(found, key=_age):
        try:
            descriptor = _open(Path(entry.path))
        except OSError:  # another user's, or gone by now
            continue
        try:
            lock_now(descriptor)
        except OSError:
            os.close(descriptor)
            continue
        yield Path(entry.path), descriptor


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT, follow=False)
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
    from filelock import lock_descriptor

    try:
        lock_now(descriptor)
    except BlockingIOError:
        if waiting is None:
            raise
        waiting()
        lock_descriptor(descriptor)
    except OSError:
        return False
    return True


def _open(path: Path) -> int:
    """The descriptor that carries the lock of a file, or of a folder: that of its lock file, made where it lacks."""
    if not path.is_dir():
        return open_file(path, os.O_RDWR, follow=False)
    return open_in(path, LOCK, os.O_RDWR | os.O_CREAT, 0o600)


def _age(entry: os.DirEntry[str]) -> float:
    try:
        return -entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0
