"""RAF-DB, basic emotions: 15,339 faces.

Li, Deng, Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the Wild",
CVPR 2017.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefair.data.files.table import Table
from edgefair.data.layouts import (
    PICTURE,
    Layout,
    coded,
    lines_of,
    malformed,
    match,
    picture_column,
    pictures_in,
    skips,
)
from edgefair.probe.regular import read_regular

EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
# The last lines of an annotation, in this order, each a position in the values.
ATTRIBUTES = {
    "gender": ("male", "female", "unsure"),
    "race": ("Caucasian", "African-American", "Asian"),
    "age_group": ("0-3", "4-19", "20-39", "40-69", "70+"),
}
LANDMARKS = 5
SPLITS = ("train", "test")


def read(folder: Path) -> Layout:
    """Read RAF-DB from the folder that holds `basic/`, or from `basic` itself.

    Columns: emotion, gender, race, age_group, and `split` ("train", "test"). The pictures are those of
    `Image/aligned`, or of `Image/original` if that is absent. A picture whose manual annotation is absent or
    malformed is skipped.

    Raises:
        DataError: no emotion list, no picture folder, a malformed or repeated line.
    """
    root = "basic/" if (folder / "basic").is_dir() else ""
    path = folder / f"{root}EmoLabel/list_patition_label.txt"
    names, splits, emotions = _read_list(path)
    aligned = (folder / f"{root}Image/aligned").is_dir()
    inside, ending = (f"{root}Image/aligned", "_aligned") if aligned else (f"{root}Image/original", "")
    pictures = [f"{inside}/{Path(name).stem}{ending}{Path(name).suffix}" for name in names]
    rows, skipped = match(pictures, pictures_in(folder, inside), where=f"'{path}'")

    annotations = folder / f"{root}Annotation/manual"
    kept: list[int] = []
    codes: list[list[int]] = []
    wrong: dict[str, list[str]] = {}
    for row in rows.tolist():
        found = _annotation(annotations / f"{Path(names[row]).stem}_manu_attri.txt")
        if isinstance(found, str):
            wrong.setdefault(found, []).append(pictures[row])
        else:
            kept.append(row)
            codes.append(found)
    attributes = np.array(codes, dtype=np.int32).reshape(len(kept), len(ATTRIBUTES))
    columns = {
        "emotion": coded(EMOTIONS, [emotions[row] for row in kept]),
        **{name: coded(words, attributes[:, index]) for index, (name, words) in enumerate(ATTRIBUTES.items())},
        "split": coded(SPLITS, [splits[row] for row in kept]),
        PICTURE: picture_column(pictures[row] for row in kept),
    }
    return Layout(Table(columns), (*skipped, *skips(wrong)))


def _read_list(path: Path) -> tuple[list[str], list[int], list[int]]:
    """File names, and for each the positions of its split and of its emotion."""
    names, splits, emotions = [], [], []
    for number, line in enumerate(lines_of(path), start=1):
        name, _, emotion = line.strip().rpartition(" ")
        split = name.partition("_")[0]
        if split not in SPLITS or emotion not in {str(code + 1) for code in range(len(EMOTIONS))}:
            raise malformed(path, number, f"'{line}'", "'train_...' or 'test_...', and an emotion of 1 to 7")
        names.append(name.rstrip())
        splits.append(SPLITS.index(split))
        emotions.append(int(emotion) - 1)
    return names, splits, emotions


def _annotation(path: Path) -> list[int] | str:
    """The codes of `ATTRIBUTES`, or what is wrong with the file."""
    try:
        lines = read_regular(path).decode().split("\n")
    except FileNotFoundError:
        return "no manual annotation"
    except (OSError, UnicodeDecodeError):
        return "the manual annotation is malformed"
    lines = [line.strip() for line in lines if line.strip()]
    values = lines[LANDMARKS:]
    if len(values) != len(ATTRIBUTES):
        return "the manual annotation is malformed"
    for text, words in zip(values, ATTRIBUTES.values(), strict=True):
        if text not in {str(code) for code in range(len(words))}:
            return "the manual annotation is malformed"
    return [int(text) for text in values]
