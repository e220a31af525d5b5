"""Folders for files that nobody needs afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgefair.locks import held_folder

PREFIX = "edgefair-scratch-"


@contextmanager
def work_folder() -> Iterator[Path]:
    """A new folder among the system's temporary files, removed when the block ends.

    Folders that killed processes left behind are removed first.
    """
    with held_folder(Path(tempfile.gettempdir()), PREFIX) as folder:
        yield folder
