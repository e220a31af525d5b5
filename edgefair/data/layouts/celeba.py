"""CelebA: 202,599 aligned faces with 40 attributes.

Liu, Luo, Wang, Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories, Table
from edgefair.data.layouts import (
    PICTURE,
    Layout,
    coded,
    csv_columns,
    lines_of,
    malformed,
    match,
    picture_column,
    pictures_in,
    texts,
)
from edgefair.errors import DataError

ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_CelebA"
# The archives hold the lists in Anno/ and Eval/ and the pictures in Img/; most copies have all of them at the top.
LIST_FOLDERS = ("", "Anno", "Eval")
# Kaggle's archive nests the folder in itself.
PICTURE_FOLDERS = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
NO_YES = ("no", "yes")
# Of a number of pictures.
DIGITS = 12
SPLITS = ("train", "val", "test")


def read(folder: Path) -> Layout:
    """Read CelebA.

    Columns: every attribute by its published name ("yes", "no"), `split` ("train", "val", "test"), and `identity`
    where the folder has `identity_CelebA.txt`. The lists are .txt as published or .csv as on Kaggle.

    Raises:
        DataError: no attribute or partition list, no picture folder, a malformed or repeated line, a count in line 1
            that is not the number of lines, or a picture without a split or without an identity.
    """
    path = _find(folder, ATTRIBUTES)
    names, attributes, signs = (_attributes_csv if path.suffix == ".csv" else _attributes_txt)(path)
    inside = next((place for place in PICTURE_FOLDERS if (folder / place).is_dir()), PICTURE_FOLDERS[1])
    rows, skipped = match([f"{inside}/{name}" for name in names], pictures_in(folder, inside), where=f"'{path}'")
    names = [names[row] for row in rows]

    columns = {attribute: coded(NO_YES, signs[rows, index]) for index, attribute in enumerate(attributes)}
    partition = _values(_find(folder, PARTITION), "partition", names, {"0", "1", "2"}.__contains__)
    columns["split"] = coded(SPLITS, [int(code) for code in partition])
    if _copies(folder, IDENTITY):
        columns["identity"] = Categories.of(_values(_find(folder, IDENTITY), "identity", names, str.isdecimal))
    columns[PICTURE] = picture_column(f"{inside}/{name}" for name in names)
    return Layout(Table(columns), tuple(skipped))


def _copies(folder: Path, name: str) -> list[Path]:
    paths = [folder / place / f"{name}{suffix}" for place in LIST_FOLDERS for suffix in (".txt", ".csv")]
    return [path for path in paths if path.is_file()]


def _find(folder: Path, name: str) -> Path:
    found = _copies(folder, name)
    if not found:
        raise DataError(f"no list file '{folder / name}.txt'", expected="it, or the same list as .csv")
    return found[0]


def _attributes_txt(path: Path) -> tuple[list[str], list[str], NDArray[np.uint8]]:
    """File names, attribute names, and 1 for yes and 0 for no [files, attributes]."""
    lines = lines_of(path)
    if not (lines[0].strip().isdecimal() and len(lines[0]) <= DIGITS):
        raise malformed(path, 1, f"'{lines[0]}'", "the number of pictures")
    attributes = lines[1].split() if len(lines) > 1 else []
    if not attributes or len(set(attributes)) < len(attributes):
        raise malformed(path, 2, f"'{' '.join(attributes)}'", "the names of the attributes, each once")
    count, body = int(lines[0]), lines[2:]
    if len(body) != count:
        raise DataError(
            f"'{path}' has {len(body)} pictures and says {count} in line 1",
            expected="as many lines as line 1 says",
            fix="copy it again, or correct line 1",
        )
    # Eight million numbers: one pattern per line checks them, and a name may hold spaces.
    entry = re.compile(rf"(.+?)((?:[ \t]+[-+]?1){{{len(attributes)}}})[ \t]*")
    names, digits = [], []
    for row, line in enumerate(body):
        found = entry.fullmatch(line)
        if found is None:
            raise malformed(path, row + 3, f"'{line}'", f"a file name and {len(attributes)} times 1 or -1")
        names.append(found[1])
        digits.append(found[2].replace("-1", "0").translate(_ONLY_DIGITS))
    signs = np.frombuffer("".join(digits).encode("ascii"), dtype=np.uint8) - ord("0")
    return names, attributes, signs.reshape(len(names), len(attributes))


def _attributes_csv(path: Path) -> tuple[list[str], list[str], NDArray[np.uint8]]:
    columns = csv_columns(path)
    if "image_id" not in columns:
        raise DataError(f"'{path}' has no column 'image_id'", expected="image_id and one column for each attribute")
    names = texts(path, "image_id", columns.pop("image_id"))
    signs = np.empty((len(names), len(columns)), dtype=np.uint8)
    for index, (attribute, column) in enumerate(columns.items()):
        found = np.array(texts(path, attribute, column)) if isinstance(column, Categories) else column
        yes, no = (1, -1) if isinstance(column, np.ndarray) else ("1", "-1")
        wrong = np.flatnonzero((found != yes) & (found != no))
        if len(wrong):
            raise malformed(path, int(wrong[0]) + 2, f"{attribute} is '{found[wrong[0]]}'", "1 or -1")
        signs[:, index] = found == yes
    return names, list(columns), signs


def _values(path: Path, value: str, names: list[str], valid: Callable[[str], bool]) -> list[str]:
    """What a list of (file name, value) says of each of `names`; it may list more."""
    if path.suffix == ".csv":
        columns = csv_columns(path, ("image_id", value))
        listed, values = (texts(path, name, columns[name]) for name in ("image_id", value))
        first = 2
    else:
        pairs = [line.strip().rpartition(" ") for line in lines_of(path)]
        listed, values = [name.rstrip() for name, _, _ in pairs], [code for _, _, code in pairs]
        first = 1
    said = dict(zip(listed, values, strict=True))
    for row, code in enumerate(values):
        if not valid(code) or not listed[row]:
            raise malformed(path, row + first, f"'{listed[row]} {code}'", f"a file name and its {value}")
    if len(said) < len(listed):
        match(listed, listed, where=f"'{path}'")
    absent = [name for name in names if name not in said]
    if absent:
        raise DataError(
            f"'{path}' does not list {len(absent)} pictures, for example '{absent[0]}'",
            expected=f"a {value} for every picture",
        )
    return [said[name] for name in names]


_ONLY_DIGITS = str.maketrans("", "", " \t+")
