"""Files that somebody names: regular ones alone, of a size that memory holds. Pipes and devices may never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Optional

from edgefair.probe.system.files import AT_ONCE, PathLike, open_file, wait_again

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class LargerError(OSError, ValueError):
    """A file that is larger than what is asked for can be."""


def open_regular(path: PathLike, *, follow: bool = True) -> BinaryIO:
    """Open a file for reading.

    follow: whether it may be a symbolic link.

    Raises:
        OSError: it cannot be opened, or is a folder, pipe, socket or device; `strerror` says which.
    """
    try:
        descriptor = open_file(path, os.O_RDONLY | AT_ONCE, follow=follow)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    except OSError as error:
        if error.errno == errno.EACCES and Path(path).is_dir():  # Windows opens no folders
            raise OSError(errno.EINVAL, "it is a folder, not a file", str(path)) from error
        if error.errno == errno.ENXIO:
            raise OSError(errno.EINVAL, "it is a socket or device, not a file", str(path)) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = next((name for test, name in KINDS if test(mode)), "no file")
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
    wait_again(descriptor)
    return os.fdopen(descriptor, "rb")


def read_regular(path: PathLike, *, most: Optional[int] = None, follow: bool = True) -> bytes:
    """The content of a file.

    most: bytes that it may have. follow: whether it may be a symbolic link.

    Raises:
        OSError: see `open_regular`.
        LargerError: it has more bytes.
    """
    with open_regular(path, follow=follow) as stream:
        content = stream.read() if most is None else stream.read(most + 1)
    if most is not None and len(content) > most:
        raise LargerError(errno.EFBIG, f"it is larger than {most:,} bytes", str(path))
    return content
