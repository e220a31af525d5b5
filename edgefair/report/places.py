"""Whether a file can be written where it shall be, asked before the work that fills it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgefair.errors import UsageError


def check_folders(*paths: Path | None) -> None:
    """Whether files can be written where they shall be, before the work whose result they are to hold.

    Raises:
        UsageError: a folder, a link or a device instead of a file, or a file in a folder that does not exist or takes
            none.
    """
    for path in paths:
        if path is None:
            continue
        folder = path.absolute().parent
        if path.is_dir():
            raise UsageError(f"cannot write '{path}': it is a folder", fix="pass the path of a file in it")
        if path.is_symlink():
            raise UsageError(
                f"cannot write '{path}': it is a symbolic link, which the new file would replace",
                fix="pass the file that it points to",
            )
        if path.exists() and not path.is_file():
            raise UsageError(
                f"cannot write '{path}': it is not a file", fix="pass a file, or print the result with --json"
            )
        if not folder.is_dir():
            raise UsageError(f"cannot write '{path}': no folder '{path.parent}'", fix="create the folder first")
        try:
            # Permissions do not tell: a file system may be read-only, or no place for files at all.
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UsageError(
                f"cannot write '{path}': no file can be made in '{folder}': {error.strerror}",
                fix="choose a writable folder",
            ) from error
