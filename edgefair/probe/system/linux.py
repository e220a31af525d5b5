"""What Linux alone has: /proc, files in memory, the cores of each thread, folders that change places at once."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Any, Iterable, List, Optional, Set

PROC = Path("/proc")
# Of files that are no standard streams.
FIRST_NUMBER = 3
AT_FDCWD = -100
RENAME_EXCHANGE = 2


def proc_text(name: str) -> Optional[str]:
    """A text below /proc; None where there is none."""
    try:
        return (PROC / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def forget_peak() -> bool:
    """Let the peak of this process's memory begin at what there is now; False where the system does not allow it.

    https://www.kernel.org/doc/html/latest/filesystems/proc.html, clear_refs
    """
    try:
        with (PROC / "self/clear_refs").open("w", encoding="ascii") as stream:
            stream.write("5")
    except OSError:
        return False
    return True


def thread_ids() -> List[int]:
    """The ids of this process's threads.

    Raises:
        OSError: the system does not tell.
    """
    return [int(place.name) for place in (PROC / "self/task").iterdir()]


def allowed_cores(thread: int = 0) -> Set[int]:
    """The logical processors that a thread may run on; 0: this one.

    Raises:
        OSError: the system does not tell.
    """
    if not hasattr(os, "sched_getaffinity"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return os.sched_getaffinity(thread)


def allow_cores(thread: int, cores: Iterable[int]) -> None:
    """Say which logical processors a thread may run on.

    Raises:
        OSError: the system does not let one.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    os.sched_setaffinity(thread, cores)


def core_count() -> Optional[int]:
    """Logical processors that this process may use: those of the machine where the system does not tell."""
    try:
        return len(allowed_cores())
    except OSError:
        return os.cpu_count()


def is_root() -> bool:
    """Whether this process may do everything; False where there is no such user."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def lock_now(descriptor: int) -> None:
    """Lock an open file for as long as this process lives.

    Raises:
        OSError: another process has it (EAGAIN or EACCES), or the file system has no locks.
    """
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def enlarge_pipe(stream: Any, size: int) -> None:
    """Let a pipe hold more bytes, as far as the system lets this user."""
    try:
        import fcntl

        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, size)
    except (ImportError, AttributeError, OSError):
        return


def memory_file(name: str, content: bytes) -> Optional[int]:
    """The descriptor of a file in memory, which goes with the last process that has it; None where there are none.

    Its number is no standard stream's, as it would be where this process has closed its own.

    Raises:
        OSError: no memory is left.
    """
    if not hasattr(os, "memfd_create"):
        return None
    import fcntl

    low = os.memfd_create(name)
    try:
        descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, FIRST_NUMBER)
    finally:
        os.close(low)
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        stream.write(content)
    return descriptor


def path_of(descriptor: int) -> str:
    """The path under which a process that has this descriptor opens the file anew."""
    return str(PROC / "self/fd" / str(descriptor))


def exchange(one: Path, other: Path) -> bool:
    """Swap two folders atomically; False where the platform cannot (renameat2(2), Linux 3.15).

    Raises:
        OSError: they cannot be moved.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # another C library, or none under this name
        return False
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.ENOSYS, errno.EINVAL}:
        return False
    raise OSError(code, os.strerror(code), str(other))
