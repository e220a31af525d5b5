"""Published face data sets, read from the folders as their authors distribute them.

One file per layout, listed in the table below. A layout turns its lists into a table; it decodes no picture.
"""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from edgefair.data.files.readers import read_table
from edgefair.data.files.skipped import Skipped
from edgefair.data.files.table import Categories, Table
from edgefair.errors import DataError, did_you_mean
from edgefair.probe.regular import read_regular

# Column: path of the picture, relative to the folder that was read, with forward slashes.
PICTURE = "picture"

# What a list can hold: text, or numbers [rows].
Plain = Categories | NDArray[Any]

SUFFIXES = (".jpg", ".jpeg", ".png")
NOT_THERE = "listed but not in the folder"
NOT_LISTED = "in the folder but not in the list"
NO_LABEL = "no emotion file"
# Nothing ever said who these are, so no row is lost with them.
NEVER_LABELLED = frozenset({NOT_LISTED, NO_LABEL})


class Frames(BaseModel):
    """Which frames of a sequence are rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    peak: int = Field(1, ge=1, description="The last frames, so many, with the emotion of the sequence.")
    neutral: Literal["first"] | None = Field(None, description="Also the first frame, whose emotion is `neutral`.")


@dataclass(frozen=True, eq=False)
class Layout:
    """What a folder holds.

    Attributes:
        table: one row per usable picture; `PICTURE`, and columns of text (`Categories`) or numbers [rows].
        skipped: what was left out, one entry per reason that occurred.
    """

    table: Table
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class Published:
    """What a layout offers to the config, known without reading a folder.

    Attributes:
        reader: "module:function", imported when a folder is read; the function takes the folder and, of a set of
            sequences, which frames are rows.
        split: defaults of `data.split`; empty where the set has no official split.
        subject: column of the person; None where the set has none. It applies only if the table has the column:
            CelebA's identities are a file that not every copy has.
        sequences: whether its pictures are frames of sequences.
    """

    reader: str
    split: Mapping[str, Any]
    subject: str | None
    sequences: bool = False


LAYOUTS: Mapping[str, Published] = {
    "celeba": Published(
        "edgefair.data.layouts.celeba:read",
        {"column": "split", "train": ["train"], "validation": ["val"], "audit": ["test"]},
        "identity",
    ),
    "fairface": Published(
        "edgefair.data.layouts.fairface:read", {"column": "split", "train": ["train"], "audit": ["val"]}, None
    ),
    "utkface": Published("edgefair.data.layouts.utkface:read", {}, None),
    "raf-db": Published(
        "edgefair.data.layouts.raf_db:read", {"column": "split", "train": ["train"], "audit": ["test"]}, None
    ),
    "ck+": Published("edgefair.data.layouts.ck_plus:read", {}, "subject", sequences=True),
}


def read_layout(name: str, folder: Path, frames: Frames | None = None) -> Layout:
    """Read a folder in the published layout of the set `name`. Pictures are not opened.

    Args:
        frames: of a set of sequences, which frames are rows.

    Raises:
        DataError: an unknown set, no such folder, a list that is absent or malformed, or no usable picture.
    """
    if name not in LAYOUTS:
        raise DataError(
            f"unknown picture set '{name}'{did_you_mean(name, LAYOUTS)}", expected=f"one of {', '.join(LAYOUTS)}"
        )
    if not folder.is_dir():
        raise DataError(
            f"no folder '{folder}'",
            expected=f"the folder that holds {name}",
            fix="data.source is relative to the folder of edgefair.yaml; elsewhere: --set data.source=FOLDER",
        )
    module, function = LAYOUTS[name].reader.split(":")
    read = getattr(importlib.import_module(module), function)
    layout: Layout = read(folder) if frames is None else read(folder, frames)
    if not layout.table.rows:
        reasons = "; ".join(f"{item.count} {item.reason}, as '{item.examples[0]}'" for item in layout.skipped)
        raise DataError(
            f"'{folder}' has no usable picture of {name}: {reasons or 'it has none'}",
            expected="the folder as it was published",
        )
    return layout


def pictures_in(folder: Path, inside: str = "") -> list[str]:
    """The pictures that lie directly in `folder / inside`, as paths relative to `folder`, sorted.

    One listing answers for every row: CelebA has 202,599 files.

    Raises:
        DataError: no such folder.
    """
    place = folder / inside
    if not place.is_dir():
        raise DataError(f"no picture folder '{place}'", expected="the folder as it was published")
    prefix = f"{inside}/" if inside else ""
    with os.scandir(place) as entries:
        return sorted(prefix + entry.name for entry in entries if _is_picture(entry))


def folders_in(place: Path) -> list[str]:
    """Names of the folders directly in `place`, sorted; none if there is no such folder."""
    if not place.is_dir():
        return []
    with os.scandir(place) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def lines_of(path: Path) -> list[str]:
    """The lines of a list file, without the blank ones at its end.

    Raises:
        DataError: no such file, or it is not UTF-8.
    """
    require(path)
    try:
        # Not splitlines: that also breaks at characters that a file name may hold.
        text = read_regular(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        return text.rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read as text: {error}", expected="UTF-8") from error


def csv_columns(path: Path, names: Sequence[str] | None = None) -> dict[str, Plain]:
    """The columns `names` of a CSV list, or all.

    Raises:
        DataError: no such file, one that is not CSV, or one without a column of `names`.
    """
    require(path)
    columns = plain(read_table(path, lambda found: found if names is None else names))
    for name in names or ():
        if name not in columns:
            raise DataError(f"'{path}' has no column '{name}'", expected=f"the columns {', '.join(names or ())}")
    return columns


def plain(table: Table) -> dict[str, Plain]:
    """The columns of text and of numbers; files of rows have no others."""
    return {name: column for name, column in table.columns.items() if isinstance(column, Categories | np.ndarray)}


def texts(path: Path, name: str, column: Plain) -> list[str]:
    """The text of every row of a CSV column.

    Raises:
        DataError: a row without a value.
    """
    values: list[Any] = column.text() if isinstance(column, Categories) else column.tolist()
    for row, value in enumerate(values):
        if value is None or value != value:  # noqa: PLR0124
            raise malformed(path, row + 2, f"it has no {name}", "a value in every line")
    return [str(value) for value in values]


def require(path: Path) -> None:
    """Raises a DataError if there is no such list file."""
    if not path.is_file():
        raise DataError(f"no list file '{path}'", expected="the folder as it was published")


def malformed(path: Path, line: int, found: str, expected: str) -> DataError:
    """The error for line `line` (the first is 1) of a list."""
    return DataError(f"'{path}' line {line}: {found[:120]}", expected=expected, fix="copy the file again")


def match(listed: Sequence[str], present: Sequence[str], *, where: str) -> tuple[NDArray[np.int64], list[Skipped]]:
    """Which entries of a list have their picture.

    Args:
        listed: paths that a list names.
        present: paths in the folder.
        where: the list, for the message.

    Returns:
        Positions in `listed`, sorted, int64 [pictures]; and what the list and the folder do not share.

    Raises:
        DataError: an entry that is listed twice.
    """
    names, there = set(listed), set(present)
    if len(names) < len(listed):
        name, count = Counter(listed).most_common(1)[0]
        raise DataError(f"{where} lists '{name}' {count} times", expected="one entry for each picture")
    rows = np.array([row for row, name in enumerate(listed) if name in there], dtype=np.int64)
    skipped = skips(
        {NOT_THERE: [name for name in listed if name not in there], NOT_LISTED: [n for n in present if n not in names]}
    )
    return rows, skipped


def skips(by_reason: Mapping[str, Sequence[str]]) -> list[Skipped]:
    """One entry for each reason that has names."""
    return [
        Skipped(reason, len(names), tuple(names[:3]), were_rows=reason not in NEVER_LABELLED)
        for reason, names in by_reason.items()
        if names
    ]


def picture_column(paths: Iterable[str]) -> Categories:
    """The column `PICTURE`; the paths are distinct."""
    values = tuple(paths)
    return Categories(values, np.arange(len(values), dtype=np.int32))


def coded(words: tuple[str, ...], codes: Sequence[int] | NDArray[Any]) -> Categories:
    """A column of text from positions in `words`, [rows]."""
    return Categories(words, np.asarray(codes, dtype=np.int32))


def _is_picture(entry: os.DirEntry[str]) -> bool:
    # Names that begin with a dot are what archives of other systems leave behind, not pictures.
    return entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") and entry.is_file()
