"""FairFace: 97,698 faces balanced over seven races.

Kärkkäinen, Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age", WACV 2021.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefair.data.files.table import Table
from edgefair.data.layouts import (
    PICTURE,
    Layout,
    coded,
    csv_columns,
    malformed,
    match,
    picture_column,
    pictures_in,
    texts,
)

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
# Column -> its published values.
COLUMNS = {
    "age": AGES,
    "gender": ("Male", "Female"),
    "race": ("White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern"),
    "service_test": ("False", "True"),
}
SPLITS = ("train", "val")


def read(folder: Path) -> Layout:
    """Read FairFace: `train/`, `val/` and their two lists.

    Columns: age, gender, race and service_test with the published values, and `split` ("train", "val"). FairFace
    has no test split.

    Raises:
        DataError: a list or a picture folder that is absent, a malformed or repeated line.
    """
    files: list[str] = []
    codes: dict[str, list[int]] = {name: [] for name in (*COLUMNS, "split")}
    for index, split in enumerate(SPLITS):
        path = folder / f"fairface_label_{split}.csv"
        listed, found = _read_list(path, split)
        files += listed
        for name, values in found.items():
            codes[name] += values
        codes["split"] += [index] * len(listed)
    present = [path for split in SPLITS for path in pictures_in(folder, split)]
    rows, skipped = match(files, present, where=f"'{folder / 'fairface_label_*.csv'}'")
    words = {**COLUMNS, "split": SPLITS}
    columns = {name: coded(words[name], np.array(values)[rows]) for name, values in codes.items()}
    columns[PICTURE] = picture_column(files[row] for row in rows)
    return Layout(Table(columns), tuple(skipped))


def _read_list(path: Path, split: str) -> tuple[list[str], dict[str, list[int]]]:
    """The files of one split, and for each column the positions in its values."""
    columns = csv_columns(path, ("file", *COLUMNS))
    files = texts(path, "file", columns["file"])
    for row, file in enumerate(files):
        if not file.startswith(f"{split}/"):
            raise malformed(path, row + 2, f"file is '{file}'", f"a picture of {split}/")
    codes = {}
    for name, words in COLUMNS.items():
        code = {word: position for position, word in enumerate(words)}
        values = texts(path, name, columns[name])
        for row, value in enumerate(values):
            if value not in code:
                raise malformed(path, row + 2, f"{name} is '{value}'", f"one of {', '.join(words)}")
        codes[name] = [code[value] for value in values]
    return files, codes
