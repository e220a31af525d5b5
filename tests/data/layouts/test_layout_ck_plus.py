import math

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from pydantic import ValidationError

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.data.layouts import Frames, read_layout
from edgefair.errors import DataError
from tests.data.layouts.published import ck_plus, contents, lines, picture, skipped

EXPECTED = {
    "subject": ["S005", "S010", "S011", "S138"],
    "sequence": ["S005_001", "S010_002", "S011_001", "S138_005"],
    "emotion": ["disgust", "surprise", "neutral", "contempt"],
    "picture": [
        "cohn-kanade-images/S005/001/S005_001_00000003.png",
        "cohn-kanade-images/S010/002/S010_002_00000004.png",
        "cohn-kanade-images/S011/001/S011_001_00000002.png",
        "cohn-kanade-images/S138/005/S138_005_00000002.png",
    ],
}
# Subject and number of 327 sequences of 118 subjects, as CK+ has them.
PAPER = [(subject, number) for subject in range(118) for number in range(3 if subject < 91 else 2)]
NO_EMOTION = {"no emotion file": (1, ("S010/001",))}


def read(folder):
    return read_layout("ck+", folder)


def test_every_labelled_sequence_is_one_row_its_last_frame(tmp_path):
    layout = read(ck_plus(tmp_path))
    assert contents(layout) == EXPECTED
    assert skipped(layout) == NO_EMOTION


@pytest.mark.parametrize(
    ("code", "emotion"),
    list(enumerate(["neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"])),
)
def test_every_emotion_has_its_published_code(tmp_path, code, emotion):
    assert contents(read(ck_plus(tmp_path, {"S005/001": (2, code)})))["emotion"] == [emotion]


def test_a_sequence_without_a_folder_of_emotions_has_no_emotion_file(tmp_path):
    ck_plus(tmp_path)
    (tmp_path / "Emotion/S010/001").rmdir()
    layout = read(tmp_path)
    assert contents(layout) == EXPECTED
    assert skipped(layout) == NO_EMOTION


@pytest.mark.parametrize("text", ["", "happy", "8.0", "-1", "2.5", "nan", "1 2", "\u0663.5"])
def test_a_sequence_with_a_malformed_emotion_file_is_skipped(tmp_path, text):
    ck_plus(tmp_path)
    (tmp_path / "Emotion/S005/001/S005_001_00000003_emotion.txt").write_text(text, encoding="utf-8")
    layout = read(tmp_path)
    assert contents(layout) == {name: values[1:] for name, values in EXPECTED.items()}
    assert skipped(layout) == NO_EMOTION | {"the emotion file is malformed": (1, ("S005/001",))}


def test_a_sequence_with_two_emotion_files_is_skipped(tmp_path):
    ck_plus(tmp_path)
    lines(tmp_path / "Emotion/S005/001/S005_001_00000002_emotion.txt", ["1.0"])
    assert skipped(read(tmp_path)) == NO_EMOTION | {"more than one emotion file": (1, ("S005/001",))}


def test_an_emotion_whose_frame_is_absent_is_skipped_and_never_given_to_another_frame(tmp_path):
    ck_plus(tmp_path)
    (tmp_path / EXPECTED["picture"][0]).unlink()
    lines(tmp_path / "Emotion/S200/001/S200_001_00000009_emotion.txt", ["1.0"])
    layout = read(tmp_path)
    assert contents(layout) == {name: values[1:] for name, values in EXPECTED.items()}
    assert skipped(layout) == NO_EMOTION | {"listed but not in the folder": (2, ("S005/001", "S200/001"))}


def test_names_with_spaces_and_letters_of_other_alphabets_work(tmp_path):
    layout = read(ck_plus(tmp_path, {"Zoë 寿/0 1": (2, 5)}))
    assert contents(layout) == {
        "subject": ["Zoë 寿"],
        "sequence": ["Zoë 寿_0 1"],
        "emotion": ["happy"],
        "picture": ["cohn-kanade-images/Zoë 寿/0 1/Zoë 寿_0 1_00000002.png"],
    }


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_subjects_joins_its_columns(tmp_path, kind):
    ck_plus(tmp_path)
    columns = {
        "subject": ["S010", "S005", "S138", "S999"],
        "gender": ["male", "female", None, "male"],
        "age": [30, 25, 41, 50],
        "height": [1.5, 1.25, 1.75, 2.0],
    }
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "subjects.parquet")
    else:
        rows = [columns, *zip(*columns.values(), strict=True)]
        lines(tmp_path / "subjects.csv", [",".join("" if v is None else str(v) for v in row) for row in rows])
    layout = read(tmp_path)
    found = contents(layout)
    assert found["gender"] == ["female", "male", None, None]
    assert layout.table.columns["gender"].missing() == 2
    assert found["age"][:2] == [25.0, 30.0]
    assert math.isnan(found["age"][2])
    assert found["age"][3] == 41.0
    assert np.isnan(layout.table.columns["height"]).tolist() == [False, False, True, False]
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert set(found) == {*EXPECTED, "gender", "age", "height"}


def test_numbers_that_every_subject_has_stay_whole(tmp_path):
    ck_plus(tmp_path)
    lines(tmp_path / "subjects.csv", ["subject,age", "S138,4", "S011,3", "S010,2", "S005,1"])
    ages = read(tmp_path).table.columns["age"]
    assert ages.dtype == np.int64
    assert ages.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (["person,gender", "S005,male"], "has no column 'subject' with the subjects of CK"),
        (["subject,gender", "5,male"], "has no column 'subject' with the subjects of CK"),
        (["subject,gender", "X005,male"], "has no column 'subject' with the subjects of CK"),
        (["subject,gender", "S005,male", ",male"], "has no column 'subject' with the subjects of CK"),
        (["subject,gender", "S005,male", "S005,female"], "lists subject 'S005' 2 times"),
        (["subject,emotion", "S005,male"], "has a column 'emotion', which CK. has itself"),
    ],
)
def test_a_table_of_subjects_that_cannot_be_joined_is_an_error(tmp_path, table, message):
    ck_plus(tmp_path)
    lines(tmp_path / "subjects.csv", table)
    with pytest.raises(DataError, match=rf"subjects.csv' {message}"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["cohn-kanade-images", "Emotion"])
def test_a_folder_that_is_absent_is_an_error_with_its_path(tmp_path, name):
    ck_plus(tmp_path)
    (tmp_path / name).rename(tmp_path / "moved")
    with pytest.raises(DataError, match=rf"no folder '{tmp_path / name}'"):
        read(tmp_path)


def test_what_lies_beside_the_frames_is_no_frame(tmp_path):
    ck_plus(tmp_path)
    lines(tmp_path / "cohn-kanade-images/S005/001/S005_001_00000003.txt", ["landmarks"])
    lines(tmp_path / "cohn-kanade-images/S005/.DS_Store", [""])
    picture(tmp_path / "cohn-kanade-images/S005/001/._S005_001_00000003.png")
    assert contents(read(tmp_path)) == EXPECTED


def test_three_peak_frames_and_the_first_as_neutral_are_four_rows_of_every_sequence(tmp_path):
    ck_plus(tmp_path, {"S005/001": (9, 3), "S010/002": (4, 7), "S011/001": (3, 5), "S138/005": (12, None)})
    layout = read_layout("ck+", tmp_path, Frames(peak=3, neutral="first"))
    rows = contents(layout)
    frames = [name.rsplit("_", 1)[1] for name in rows.pop("picture")]
    assert frames == [f"{number:08d}.png" for number in (1, 7, 8, 9, 1, 2, 3, 4)]
    assert rows == {
        "subject": ["S005"] * 4 + ["S010"] * 4,
        "sequence": ["S005_001"] * 4 + ["S010_002"] * 4,
        "emotion": ["neutral"] + ["disgust"] * 3 + ["neutral"] + ["surprise"] * 3,
        "frame": ["neutral", "peak", "peak", "peak"] * 2,
    }
    few, unlabelled = "fewer frames than data.frames asks for", "no emotion file"
    assert skipped(layout) == {few: (1, ("S011/001",)), unlabelled: (1, ("S138/005",))}


def test_the_first_frame_that_is_left_is_not_taken_for_the_neutral_one(tmp_path):
    ck_plus(tmp_path, {"S005/001": (6, 3), "S010/002": (6, 7)})
    (tmp_path / "cohn-kanade-images/S005/001/S005_001_00000001.png").unlink()
    layout = read_layout("ck+", tmp_path, Frames(peak=3, neutral="first"))
    assert set(contents(layout)["subject"]) == {"S010"}
    assert skipped(layout) == {"listed but not in the folder": (1, ("S005/001",))}


def test_the_paper_s_1308_pictures_of_eight_classes_keep_every_subject_on_one_side(tmp_path):
    sequences = {f"S{subject:03d}/{number:03d}": (4, 1 + (subject + number) % 7) for subject, number in PAPER}
    ck_plus(tmp_path, sequences)
    genders = [f"S{subject:03d},{'fm'[subject % 2]}" for subject in sorted({subject for subject, _ in PAPER})]
    lines(tmp_path / "subjects.csv", ["subject,gender", *genders])
    for number, path in enumerate(sorted(tmp_path.rglob("*.png"))):
        path.write_bytes(path.read_bytes() + b"%d" % number)  # or equal pictures would join subjects
    frames = {"peak": 3, "neutral": "first"}
    keys = {"source": str(tmp_path), "layout": "ck+", "frames": frames, "label": "emotion", "sensitive": ["gender"]}
    data = load(DataConfig.model_validate(keys), base=tmp_path, roles=("train", "validation", "audit"))
    assert sum(map(len, data.splits.values())) == 1308
    assert len(data.classes) == 8
    sides = [set(rows.subject.text()) for rows in data.splits.values()]
    assert sum(map(len, sides)) == len(set().union(*sides)) == 118


def test_frames_of_a_set_without_sequences_are_refused():
    keys = {"source": "x", "layout": "utkface", "frames": {"peak": 3}, "label": "age", "sensitive": ["gender"]}
    with pytest.raises(ValidationError, match="`frames` chooses those of the sequences"):
        DataConfig.model_validate(keys)
