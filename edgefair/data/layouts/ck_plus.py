"""CK+: 593 posed sequences of 123 people, 327 of them with an emotion.

Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR Workshops 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    Frames,
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
NEUTRAL = 0
# How the name of a sequence's first frame ends.
FIRST = "_00000001"


@dataclass(frozen=True)
class _Sequence:
    """A sequence with its emotion.

    Attributes:
        emotion: index into `EMOTIONS`.
        frames: paths of its pictures, in time.
        peak: position of the one that the emotion file names.
    """

    emotion: int
    frames: tuple[str, ...]
    peak: int


def read(folder: Path, frames: Frames | None = None) -> Layout:
    """Read CK+: one row per sequence, the frame that its emotion file names, which is the last one, the peak.

    The frames before it are not read unless `frames` asks for some: they go from neutral to the peak without labels of
    their own, and consecutive frames are not independent (all of a subject stay together). With `{peak: 3, neutral:
    first}` a sequence is four rows: its last three frames, which have its emotion, and its first, which is `neutral`
    (327 sequences: 1,308 rows; Stoychev and Gunes, "The effect of model compression on fairness in facial expression
    recognition", 2022). A sequence without an emotion file, or of too few frames, is skipped.

    Columns: subject ("S005"), sequence ("S005_001"), emotion, with `frames` also frame (peak, neutral); and those of
    `subjects.csv` or `subjects.parquet`, joined on its column subject, if the folder has one: CK+ itself says nothing
    of gender or race. A subject that the file lacks has no value there (numbers: NaN).

    Raises:
        DataError: no `cohn-kanade-images` or no `Emotion`, or a file of subjects that cannot be joined.
    """
    for name in (IMAGES, LABELS):
        if not (folder / name).is_dir():
            raise DataError(f"no folder '{folder / name}'", expected=f"'{IMAGES}' and '{LABELS}' side by side")
    rows: list[tuple[str, str, int, str, str]] = []
    skipped: dict[str, list[str]] = {}
    for subject, number in _sequences(folder):
        found = _labelled(folder, f"{subject}/{number}")
        chosen = found if isinstance(found, str) else _chosen(found, frames or Frames())
        if isinstance(chosen, str):
            skipped.setdefault(chosen, []).append(f"{subject}/{number}")
        else:
            rows += [(subject, f"{subject}_{number}", *row) for row in chosen]
    columns: dict[str, Column] = {
        "subject": Categories.of([row[0] for row in rows]),
        "sequence": Categories.of([row[1] for row in rows]),
        "emotion": coded(EMOTIONS, [row[2] for row in rows]),
        PICTURE: picture_column(row[3] for row in rows),
    }
    if frames is not None:
        columns["frame"] = Categories.of([row[4] for row in rows])
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


def _labelled(folder: Path, sequence: str) -> _Sequence | str:
    """A sequence with its emotion, or why it has none."""
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
    named = files[0].name.removesuffix("_emotion.txt")
    peak = next((position for position, path in enumerate(frames) if Path(path).stem == named), None)
    return NOT_THERE if peak is None else _Sequence(int(emotion), tuple(frames), peak)


def _chosen(sequence: _Sequence, frames: Frames) -> list[tuple[int, str, str]] | str:
    """Emotion, path and kind of every frame that is a row, in time; or why there are none."""
    start = sequence.peak + 1 - frames.peak
    if start < (frames.neutral is not None):
        return "fewer frames than data.frames asks for"
    rows = [(sequence.emotion, path, "peak") for path in sequence.frames[start : sequence.peak + 1]]
    if frames.neutral is None:
        return rows
    first = sequence.frames[0]
    # Where frames are lost at the beginning, the first that is left is not neutral.
    return [(NEUTRAL, first, "neutral"), *rows] if Path(first).stem.endswith(FIRST) else NOT_THERE


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
