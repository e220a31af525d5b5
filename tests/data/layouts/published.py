"""Folders of a few generated pictures, in exactly the layouts that the face data sets are published in."""

from pathlib import Path

import numpy as np
from PIL import Image

CELEBA_ATTRIBUTES = ("Male", "Smiling", "Young")
# File -> signs of the attributes, partition (0 train, 1 val, 2 test), identity.
CELEBA = {
    "000001.jpg": ((-1, 1, 1), 0, 2880),
    "000002.jpg": ((1, 1, -1), 0, 2937),
    "000003.jpg": ((1, -1, 1), 1, 8692),
    "000004.jpg": ((-1, -1, -1), 2, 5805),
}
FAIRFACE = {
    "train": {
        "train/1.jpg": ("50-59", "Male", "East Asian", "True"),
        "train/2.jpg": ("30-39", "Female", "Indian", "False"),
        "train/3.jpg": ("3-9", "Female", "Black", "False"),
    },
    "val": {
        "val/1.jpg": ("more than 70", "Male", "Latino_Hispanic", "False"),
        "val/2.jpg": ("10-19", "Female", "Middle Eastern", "True"),
    },
}
UTKFACE = (
    "1_0_0_20161219140642920.jpg.chip.jpg",
    "26_1_3_20170117153729113.jpg.chip.jpg",
    "69_1_4_20170117174545116.jpg.chip.jpg",
    "70_0_1_20170110131953974.jpg.chip.jpg",
    "116_1_2_20170112213001988.jpg.chip.jpg",
)
# File -> emotion (1-7), gender, race, age group.
RAF_DB = {
    "train_00001.jpg": (5, 1, 0, 2),
    "train_00002.jpg": (1, 0, 1, 0),
    "train_00003.jpg": (7, 2, 2, 4),
    "test_0001.jpg": (4, 1, 0, 1),
    "test_0002.jpg": (3, 0, 2, 3),
}
# Sequence -> number of frames, emotion (0-7) or None for no emotion file.
CK_PLUS = {
    "S005/001": (3, 3),
    "S010/001": (2, None),
    "S010/002": (4, 7),
    "S011/001": (2, 0),
    "S138/005": (2, 2),
}


def picture(path, *, color=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((8, 8, 3), color, dtype=np.uint8)
    pixels[:, :4] = 255 - color
    Image.fromarray(pixels).save(path)


def pictures(folder, names):
    for index, name in enumerate(names):
        picture(folder / name, color=16 * (index % 16))


def lines(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in content), encoding="utf-8")


def replace(path, old, new):
    """Change a file that holds the old text."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def celeba(folder: Path, entries=CELEBA, *, csv=False, identity=True, inside="img_align_celeba"):
    pictures(folder / inside, entries)
    attributes = [(name, *signs) for name, (signs, _, _) in entries.items()]
    splits = [(name, partition) for name, (_, partition, _) in entries.items()]
    if csv:
        header = ("image_id", *CELEBA_ATTRIBUTES)
        lines(folder / "list_attr_celeba.csv", [",".join(map(str, row)) for row in [header, *attributes]])
        rows = [("image_id", "partition"), *splits]
        lines(folder / "list_eval_partition.csv", [f"{name},{code}" for name, code in rows])
    else:
        # The published file pads the numbers to a width of two.
        body = [" ".join([row[0], *(f"{sign:2d}" for sign in row[1:])]) for row in attributes]
        lines(folder / "list_attr_celeba.txt", [len(entries), " ".join(CELEBA_ATTRIBUTES), *body])
        lines(folder / "list_eval_partition.txt", [f"{name} {code}" for name, code in splits])
    if identity:
        lines(folder / "identity_CelebA.txt", [f"{name} {person}" for name, (_, _, person) in entries.items()])
    return folder


def fairface(folder: Path, splits=FAIRFACE):
    for split, entries in splits.items():
        pictures(folder, entries)
        rows = [("file", "age", "gender", "race", "service_test"), *((name, *row) for name, row in entries.items())]
        lines(folder / f"fairface_label_{split}.csv", [",".join(row) for row in rows])
    return folder


def utkface(folder: Path, names=UTKFACE, *, inside="UTKFace"):
    pictures(folder / inside, names)
    return folder


def raf_db(folder: Path, entries=RAF_DB, *, kinds=("aligned", "original")):
    basic = folder / "basic"
    lines(basic / "EmoLabel/list_patition_label.txt", [f"{name} {codes[0]}" for name, codes in entries.items()])
    for name, (_, *codes) in entries.items():
        stem = Path(name).stem
        if "aligned" in kinds:
            picture(basic / f"Image/aligned/{stem}_aligned.jpg")
        if "original" in kinds:
            picture(basic / f"Image/original/{stem}.jpg")
        landmarks = [f"{30.5 + 2 * index:.3f}\t{40.25 + index:.3f}" for index in range(5)]
        lines(basic / f"Annotation/manual/{stem}_manu_attri.txt", [*landmarks, *codes])
    return folder


def ck_plus(folder: Path, sequences=CK_PLUS):
    for sequence, (frames, emotion) in sequences.items():
        stem = sequence.replace("/", "_")
        pictures(
            folder / "cohn-kanade-images" / sequence, [f"{stem}_{frame:08d}.png" for frame in range(1, frames + 1)]
        )
        # Folders of sequences without an emotion are published too, empty.
        labels = folder / "Emotion" / sequence
        labels.mkdir(parents=True)
        if emotion is not None:
            lines(labels / f"{stem}_{frames:08d}_emotion.txt", [f"   {emotion:.7e}"])
    return folder


def contents(layout):
    """The columns as lists, text as text."""
    return {
        name: column.tolist() if isinstance(column, np.ndarray) else column.text()
        for name, column in layout.table.columns.items()
    }


def skipped(layout):
    return {item.reason: (item.count, item.examples) for item in layout.skipped}
