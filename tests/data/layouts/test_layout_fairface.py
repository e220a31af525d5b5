import pytest

from edgefair.data.layouts import read_layout
from edgefair.errors import DataError
from tests.data.layouts.published import FAIRFACE, contents, fairface, picture, replace, skipped

EXPECTED = {
    "age": ["50-59", "30-39", "3-9", "more than 70", "10-19"],
    "gender": ["Male", "Female", "Female", "Male", "Female"],
    "race": ["East Asian", "Indian", "Black", "Latino_Hispanic", "Middle Eastern"],
    "service_test": ["True", "False", "False", "False", "True"],
    "split": ["train", "train", "train", "val", "val"],
    "picture": ["train/1.jpg", "train/2.jpg", "train/3.jpg", "val/1.jpg", "val/2.jpg"],
}


def read(folder):
    return read_layout("fairface", folder)


def test_the_columns_are_the_published_words(tmp_path):
    layout = read(fairface(tmp_path))
    assert contents(layout) == EXPECTED
    assert layout.skipped == ()


def test_what_the_lists_and_the_folders_do_not_share_is_skipped_and_counted(tmp_path):
    fairface(tmp_path)
    (tmp_path / "train/1.jpg").unlink()
    (tmp_path / "val/2.jpg").unlink()
    picture(tmp_path / "val/3.jpg")
    layout = read(tmp_path)
    assert contents(layout) == {name: values[1:4] for name, values in EXPECTED.items()}
    assert skipped(layout) == {
        "listed but not in the folder": (2, ("train/1.jpg", "val/2.jpg")),
        "in the folder but not in the list": (1, ("val/3.jpg",)),
    }


def test_names_with_spaces_and_letters_of_other_alphabets_work(tmp_path):
    row = FAIRFACE["train"]["train/1.jpg"]
    names = ["train/a b.jpg", "train/Zoë.jpg", "val/寿 司.jpg"]
    fairface(tmp_path, {"train": {names[0]: row, names[1]: row}, "val": {names[2]: row}})
    assert contents(read(tmp_path))["picture"] == names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3-9", "03-Sep", "age is '03-Sep'"),
        ("3-9", "", "it has no age"),
        ("Female,Black", "F,Black", "gender is 'F'"),
        ("Female,Black", "Female,black", "race is 'black'"),
        ("Black,False", "Black,maybe", "service_test is 'maybe'"),
        ("train/3.jpg", "val/3.jpg", "file is 'val/3.jpg'"),
    ],
)
def test_a_value_that_is_none_of_the_published_is_an_error_with_its_line(tmp_path, old, new, message):
    fairface(tmp_path)
    replace(tmp_path / "fairface_label_train.csv", old, new)
    with pytest.raises(DataError, match=rf"fairface_label_train.csv' line 4: {message}"):
        read(tmp_path)


def test_a_line_with_too_few_values_is_an_error(tmp_path):
    fairface(tmp_path)
    replace(tmp_path / "fairface_label_val.csv", "val/2.jpg,10-19,Female,Middle Eastern,True", "val/2.jpg,10-19")
    with pytest.raises(DataError, match=r"fairface_label_val.csv' cannot be read as CSV: .*val/2.jpg,10-19"):
        read(tmp_path)


def test_a_column_that_is_absent_is_an_error(tmp_path):
    fairface(tmp_path)
    replace(tmp_path / "fairface_label_val.csv", "race", "group")
    with pytest.raises(DataError, match=r"fairface_label_val.csv' has no column 'race'"):
        read(tmp_path)


def test_an_entry_that_is_listed_twice_is_an_error(tmp_path):
    fairface(tmp_path)
    replace(tmp_path / "fairface_label_train.csv", "train/2.jpg", "train/1.jpg")
    with pytest.raises(DataError, match=r"lists 'train/1.jpg' 2 times"):
        read(tmp_path)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_list_that_is_absent_is_an_error_with_its_path(tmp_path, split):
    fairface(tmp_path)
    path = tmp_path / f"fairface_label_{split}.csv"
    path.unlink()
    with pytest.raises(DataError, match=rf"no list file '{path}'"):
        read(tmp_path)
