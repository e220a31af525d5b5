"""CK+: 593 posed sequences of 123 people, 327 of them with an emotion.

Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR Workshops 2010.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.readers import read_table
from edgefair.data.files.table import MISSING, Categories, Column, Table
from edgefair.data.layouts import (
    NO_LABEL,
    NOT_THERE,
    PICTURE,
    Layout,
    Plain,
    coded,
    folders_in,
    picture_column,
    pictures_in,
    plain,
    skips,
)
from edgefair.errors import DataError
from edgefair.probe.regular import read_regular

IMAGES, LABELS = "cohn-kanade-images", "Emotion"
EMOTIONS = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")


def read(folder: Path) -> Layout:
    """Read CK+: one row per sequence, the frame that its emotion file names, which is the last one, the peak.

    The frames before it are not read: they go from neutral to the peak without labels of their own, and
    consecutive frames are not independent. A sequence without an emotion file is skipped.

    Columns: subject ("S005"), sequence ("S005_001"), emotion; and those of `subjects.csv` or `subjects.parquet`,
    joined on its column subject, if the folder has one: CK+ itself says nothing of gender or race. A subject that
    the file lacks has no value there (numbers: NaN).

    Raises:
        DataError: no `cohn-kanade-images` or no `Emotion`, or a file of subjects that cannot be joined.
    """
    for name in (IMAGES, LABELS):
        if not (folder / name).is_dir():
            raise DataError(f"no folder '{folder / name}'", expected=f"'{IMAGES}' and '{LABELS}' side by side")
    rows: list[tuple[str, str, int, str]] = []
    skipped: dict[str, list[str]] = {}
    for subject, number in _sequences(folder):
        found = _peak(folder, f"{subject}/{number}")
        if isinstance(found, str):
            skipped.setdefault(found, []).append(f"{subject}/{number}")
        else:
            rows.append((subject, f"{subject}_{number}", *found))
    columns: dict[str, Column] = {
        "subject": Categories.of([row[0] for row in rows]),
        "sequence": Categories.of([row[1] for row in rows]),
        "emotion": coded(EMOTIONS, [row[2] for row in rows]),
        PICTURE: picture_column(row[3] for row in rows),
    }
    table = next((path for name in ("csv", "parquet") if (path := folder / f"subjects.{name}").is_file()), None)
    if table is not None and rows:
        columns |= _of_subjects(table, [row[0] for row in rows], taken=set(columns))
    return Layout(Table(columns), tuple(skips(skipped)))


def _sequences(folder: Path) -> list[tuple[str, str]]:
    """(subject, number) of every sequence with frames or with an emotion, sorted."""
    subjects = {subject for name in (IMAGES, LABELS) for subject in folders_in(folder / name)}
    return sorted(
        {
            (subject, number)
            for subject in subjects
            for name in (IMAGES, LABELS)
            for number in folders_in(folder / name / subject)
        }
    )


def _peak(folder: Path, sequence: str) -> tuple[int, str] | str:
    """The emotion of a sequence and the path of its frame, or why it has none."""
    labels = folder / LABELS / sequence
    files = sorted(path for path in labels.glob("*_emotion.txt") if not path.name.startswith("."))
    if not files:
        return NO_LABEL
    if len(files) > 1:
        return "more than one emotion file"
    try:
        emotion = float(read_regular(files[0]).decode())
    except (OSError, ValueError):
        return "the emotion file is malformed"
    if emotion not in range(len(EMOTIONS)):
        return "the emotion file is malformed"
    inside = f"{IMAGES}/{sequence}"
    frames = pictures_in(folder, inside) if (folder / inside).is_dir() else []
    peak = next((path for path in frames if Path(path).stem == files[0].name.removesuffix("_emotion.txt")), None)
    return NOT_THERE if peak is None else (int(emotion), peak)


def _of_subjects(path: Path, subjects: list[str], *, taken: set[str]) -> dict[str, Plain]:
    """The other columns of a table of subjects, for each row of `subjects`."""
    columns = plain(read_table(path, lambda names: names))
    key = columns.get("subject")
    known = key.text() if isinstance(key, Categories) else []
    position = {name: row for row, name in enumerate(known)}
    if None in position or not position.keys() & set(subjects):
        raise DataError(f"'{path}' has no column 'subject' with the subjects of CK+", expected="values as 'S005'")
    if len(position) < len(known):
        twice = next(name for name in known if known.count(name) > 1)
        raise DataError(f"'{path}' lists subject '{twice}' {known.count(twice)} times", expected="one row for each")
    shared = (columns.keys() & taken) - {"subject"}
    if shared:
        raise DataError(f"'{path}' has a column '{min(shared)}', which CK+ has itself", fix="rename it")
    rows = np.array([position.get(subject, MISSING) for subject in subjects], dtype=np.int64)
    return {name: _joined(column, rows) for name, column in columns.items() if name != "subject"}


def _joined(column: Plain, rows: NDArray[np.int64]) -> Plain:
    """The given rows of a column; no value where the row is `MISSING`."""
    absent = rows == MISSING
    if isinstance(column, Categories):
        return Categories(column.values, np.where(absent, MISSING, column.codes[rows]).astype(np.int32))
    values: NDArray[Any] = column[rows]
    return np.where(absent, np.nan, values) if absent.any() else values
