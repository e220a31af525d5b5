import pytest

from edgefair.data.layouts import read_layout
from edgefair.errors import DataError
from tests.data.layouts.published import RAF_DB, contents, picture, raf_db, replace, skipped

STEMS = ["train_00001", "train_00002", "train_00003", "test_0001", "test_0002"]
EXPECTED = {
    "emotion": ["sadness", "surprise", "neutral", "happiness", "disgust"],
    "gender": ["female", "male", "unsure", "female", "male"],
    "race": ["Caucasian", "African-American", "Asian", "Caucasian", "Asian"],
    "age_group": ["20-39", "0-3", "70+", "4-19", "40-69"],
    "split": ["train", "train", "train", "test", "test"],
    "picture": [f"basic/Image/aligned/{stem}_aligned.jpg" for stem in STEMS],
}


def read(folder):
    return read_layout("raf-db", folder)


def test_the_columns_are_the_words_of_the_codes(tmp_path):
    layout = read(raf_db(tmp_path))
    assert contents(layout) == EXPECTED
    assert layout.skipped == ()


@pytest.mark.parametrize(
    ("code", "emotion"),
    list(enumerate(["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"], start=1)),
)
def test_every_emotion_has_its_published_code(tmp_path, code, emotion):
    raf_db(tmp_path, {"train_00001.jpg": (code, 0, 0, 0)})
    assert contents(read(tmp_path))["emotion"] == [emotion]


def test_the_folder_may_be_basic_itself(tmp_path):
    layout = read(raf_db(tmp_path) / "basic")
    assert contents(layout) == EXPECTED | {"picture": [f"Image/aligned/{stem}_aligned.jpg" for stem in STEMS]}


def test_without_aligned_pictures_the_originals_are_read(tmp_path):
    layout = read(raf_db(tmp_path, kinds=("original",)))
    assert contents(layout) == EXPECTED | {"picture": [f"basic/Image/original/{stem}.jpg" for stem in STEMS]}


def test_names_with_spaces_and_letters_of_other_alphabets_work(tmp_path):
    codes = RAF_DB["train_00001.jpg"]
    raf_db(tmp_path, {"train_a b 1.jpg": codes, "test_Zoë 寿司.jpg": codes})
    assert contents(read(tmp_path))["picture"] == [
        "basic/Image/aligned/train_a b 1_aligned.jpg",
        "basic/Image/aligned/test_Zoë 寿司_aligned.jpg",
    ]


def test_what_the_list_and_the_folder_do_not_share_is_skipped_and_counted(tmp_path):
    raf_db(tmp_path)
    (tmp_path / "basic/Image/aligned/train_00002_aligned.jpg").unlink()
    picture(tmp_path / "basic/Image/aligned/train_00009_aligned.jpg")
    layout = read(tmp_path)
    assert contents(layout) == {name: [values[0], *values[2:]] for name, values in EXPECTED.items()}
    assert skipped(layout) == {
        "listed but not in the folder": (1, ("basic/Image/aligned/train_00002_aligned.jpg",)),
        "in the folder but not in the list": (1, ("basic/Image/aligned/train_00009_aligned.jpg",)),
    }


def test_a_picture_without_an_annotation_is_skipped(tmp_path):
    raf_db(tmp_path)
    (tmp_path / "basic/Annotation/manual/test_0001_manu_attri.txt").unlink()
    layout = read(tmp_path)
    assert contents(layout) == {name: [*values[:3], values[4]] for name, values in EXPECTED.items()}
    assert skipped(layout) == {"no manual annotation": (1, ("basic/Image/aligned/test_0001_aligned.jpg",))}


@pytest.mark.parametrize(
    "annotation",
    [
        b"",
        b"1 2\n" * 4 + b"1\n0\n2\n",
        b"1 2\n" * 5 + b"1\n0\n",
        b"1 2\n" * 5 + b"3\n0\n2\n",
        b"1 2\n" * 5 + b"1\n3\n2\n",
        b"1 2\n" * 5 + b"1\n0\n5\n",
        b"1 2\n" * 5 + b"1\n0\n-1\n",
        b"1 2\n" * 5 + b"1\n0\n2\n2\n",
        b"\xff\xfe" * 20,
    ],
)
def test_a_picture_with_a_malformed_annotation_is_skipped(tmp_path, annotation):
    raf_db(tmp_path)
    (tmp_path / "basic/Annotation/manual/train_00001_manu_attri.txt").write_bytes(annotation)
    layout = read(tmp_path)
    assert contents(layout) == {name: values[1:] for name, values in EXPECTED.items()}
    assert skipped(layout) == {
        "the manual annotation is malformed": (1, ("basic/Image/aligned/train_00001_aligned.jpg",))
    }


@pytest.mark.parametrize("line", ["train_00002.jpg 0", "train_00002.jpg 8", "train_00002.jpg", "00002.jpg 1", ""])
def test_a_malformed_line_of_the_list_is_an_error_with_its_number(tmp_path, line):
    raf_db(tmp_path)
    replace(tmp_path / "basic/EmoLabel/list_patition_label.txt", "train_00002.jpg 1", line)
    with pytest.raises(DataError, match=rf"list_patition_label.txt' line 2: '{line}'"):
        read(tmp_path)


def test_an_entry_that_is_listed_twice_is_an_error(tmp_path):
    raf_db(tmp_path)
    replace(tmp_path / "basic/EmoLabel/list_patition_label.txt", "train_00002.jpg", "train_00001.jpg")
    with pytest.raises(DataError, match=r"lists 'basic/Image/aligned/train_00001_aligned.jpg' 2 times"):
        read(tmp_path)


def test_a_list_or_a_picture_folder_that_is_absent_is_an_error_with_its_path(tmp_path):
    raf_db(tmp_path, kinds=())
    with pytest.raises(DataError, match=rf"no picture folder '{tmp_path / 'basic/Image/original'}'"):
        read(tmp_path)
    path = tmp_path / "basic/EmoLabel/list_patition_label.txt"
    path.unlink()
    with pytest.raises(DataError, match=rf"no list file '{path}'"):
        read(tmp_path)
