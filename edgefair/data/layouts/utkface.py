"""UTKFace: 23,708 faces whose names say age, gender and race.

Zhang, Song, Qi, "Age Progression/Regression by Conditional Adversarial Autoencoder", CVPR 2017.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefair.data.files.table import Column, Table
from edgefair.data.layouts import PICTURE, Layout, coded, folders_in, picture_column, pictures_in, skips
from edgefair.data.layouts.fairface import AGES

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
OLDEST = 116
# Number of codes of each field of a name.
FIELDS = {"age": OLDEST + 1, "gender": len(GENDERS), "race": len(RACES)}
# First age of each of FairFace's groups but the youngest.
GROUPS_BEGIN = (3, 10, 20, 30, 40, 50, 60, 70)


def read(folder: Path) -> Layout:
    """Read UTKFace: pictures in the folder and in the folders directly in it (`part1/`, `UTKFace/`).

    Columns: age (int64, years), age_group (FairFace's groups), gender ("male", "female") and race. A picture whose
    name does not say them is skipped, and so is one that came before under the same name: copies hold the cropped
    faces in several folders, and a face must not both train and audit.

    Raises:
        DataError: no such folder.
    """
    paths = pictures_in(folder)
    for inside in folders_in(folder):
        paths += pictures_in(folder, inside)
    rows: dict[str, tuple[str, list[int]]] = {}
    skipped: dict[str, list[str]] = {}
    for path in paths:
        name = path.rpartition("/")[2].partition(".")[0].strip()
        codes = _codes(name)
        if isinstance(codes, str):
            skipped.setdefault(codes, []).append(path)
        elif name in rows:
            skipped.setdefault("a picture of the same name came before", []).append(path)
        else:
            rows[name] = path, codes
    codes_of = np.array([codes for _, codes in rows.values()], dtype=np.int64).reshape(len(rows), len(FIELDS))
    age, gender, race = codes_of.T
    columns: dict[str, Column] = {
        "age": age,
        "age_group": coded(AGES, np.digitize(age, GROUPS_BEGIN)),
        "gender": coded(GENDERS, gender),
        "race": coded(RACES, race),
        PICTURE: picture_column(path for path, _ in rows.values()),
    }
    return Layout(Table(columns), tuple(skips(skipped)))


def _codes(name: str) -> list[int] | str:
    """Age, gender and race of a name without its suffix, or what is wrong with it."""
    fields = name.split("_")
    if len(fields) < 4 or not all(fields[:4]):
        return "the name lacks a field"
    for field, text in zip(FIELDS, fields, strict=False):
        if not (text.isascii() and text.isdecimal() and int(text) < FIELDS[field]):
            return f"the name's {field} is not one of 0 to {FIELDS[field] - 1}"
    return [int(text) for text in fields[: len(FIELDS)]]
