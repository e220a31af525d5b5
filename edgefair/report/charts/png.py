"""What pictures of reports have in common: a headline that says what is left out, and a file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgefair.errors import UsageError
from edgefair.files import write_atomic
from edgefair.report.escape import one_line
from edgefair.report.places import check_folders

if TYPE_CHECKING:
    from PIL.Image import Image


def headline(title: str, parts: Iterable[tuple[int, int, str]]) -> str:
    """The title, and how much of each part is not shown.

    Args:
        parts: how many there are, how many are shown at most, and what they are, as `groups`.
    """
    left_out = [f"{there - most} more {what} are not shown" for there, most, what in parts if there > most]
    return one_line("; ".join([title, *left_out]))


def check_png(path: Path | None) -> None:
    """Whether a picture can be written there, before the work that it is to show.

    Raises:
        UsageError: a name that does not end in .png, or see `places.check_folders`.
    """
    if path is None:
        return
    check_folders(path)
    if path.suffix.lower() != ".png":
        raise UsageError(f"'{path}' is not the name of a PNG file", expected="a name that ends in .png")


def save_png(path: Path, picture: Image, what: str, *, private: bool = False) -> None:
    """Write a picture as PNG.

    Args:
        what: it is, as `heat map`.
        private: it shows people: a new file is for its owner alone.

    Raises:
        UsageError: the file cannot be written.
    """
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    try:
        write_atomic(path, stream.getvalue(), private=private)
    except OSError as error:
        raise UsageError(f"the {what} cannot be written to '{path}': {error.strerror}") from error
