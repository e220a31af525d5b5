import pytest

from edgefair.data.layouts import read_layout
from edgefair.errors import DataError
from tests.data.layouts.published import CELEBA, celeba, contents, picture, replace, skipped

EXPECTED = {
    "Male": ["no", "yes", "yes", "no"],
    "Smiling": ["yes", "yes", "no", "no"],
    "Young": ["yes", "no", "yes", "no"],
    "split": ["train", "train", "val", "test"],
    "identity": ["2880", "2937", "8692", "5805"],
    "picture": [f"img_align_celeba/00000{index}.jpg" for index in (1, 2, 3, 4)],
}


def read(folder):
    return read_layout("celeba", folder)


@pytest.mark.parametrize("csv", [False, True])
def test_both_spellings_of_the_lists_give_the_same_columns(tmp_path, csv):
    layout = read(celeba(tmp_path, csv=csv))
    assert contents(layout) == EXPECTED
    assert layout.skipped == ()


def test_the_nested_folder_of_kaggle_is_found(tmp_path):
    layout = read(celeba(tmp_path, csv=True, inside="img_align_celeba/img_align_celeba"))
    assert contents(layout)["picture"][0] == "img_align_celeba/img_align_celeba/000001.jpg"
    assert layout.table.rows == 4


def test_the_folders_of_the_archives_are_found(tmp_path):
    celeba(tmp_path, inside="Img/img_align_celeba")
    for place, name in (("Anno", "list_attr_celeba"), ("Eval", "list_eval_partition"), ("Anno", "identity_CelebA")):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").rename(tmp_path / place / f"{name}.txt")
    expected = EXPECTED | {"picture": [f"Img/{path}" for path in EXPECTED["picture"]]}
    assert contents(read(tmp_path)) == expected


def test_without_the_identity_file_there_is_no_identity(tmp_path):
    layout = read(celeba(tmp_path, identity=False))
    assert contents(layout) == {name: values for name, values in EXPECTED.items() if name != "identity"}


def test_names_with_spaces_and_letters_of_other_alphabets_work(tmp_path):
    names = ["a b 1.jpg", "Zoë 1 -1.jpg", "寿 司.jpg", "x\u2028y.jpg"]
    entries = dict(zip(names, CELEBA.values(), strict=True))
    assert contents(read(celeba(tmp_path / "txt", entries))) == EXPECTED | {
        "picture": [f"img_align_celeba/{name}" for name in names]
    }
    assert contents(read(celeba(tmp_path / "csv", entries, csv=True)))["picture"] == [
        f"img_align_celeba/{name}" for name in names
    ]


def test_what_the_list_and_the_folder_do_not_share_is_skipped_and_counted(tmp_path):
    celeba(tmp_path)
    for name in ("000002.jpg", "000003.jpg"):
        (tmp_path / "img_align_celeba" / name).unlink()
    for name in ("a", "b", "c", "d"):
        picture(tmp_path / f"img_align_celeba/{name}.jpg")
    layout = read(tmp_path)
    assert contents(layout) == {name: [values[0], values[3]] for name, values in EXPECTED.items()}
    assert skipped(layout) == {
        "listed but not in the folder": (2, ("img_align_celeba/000002.jpg", "img_align_celeba/000003.jpg")),
        "in the folder but not in the list": (4, tuple(f"img_align_celeba/{name}.jpg" for name in "abc")),
    }


@pytest.mark.parametrize("count", [3, 5])
def test_a_count_that_is_not_the_number_of_lines_is_an_error(tmp_path, count):
    celeba(tmp_path)
    replace(tmp_path / "list_attr_celeba.txt", "4\nMale", f"{count}\nMale")
    with pytest.raises(DataError, match=rf"list_attr_celeba.txt' has 4 pictures and says {count} in line 1"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("4\nMale", "four\nMale", 1),
        ("Male Smiling", "Male Male", 2),
        ("000002.jpg  1  1 -1", "000002.jpg  1  1", 4),
        ("000002.jpg  1  1 -1", "000002.jpg  1  0 -1", 4),
        ("000002.jpg  1  1 -1", "1  1 -1", 4),
        ("000002.jpg  1  1 -1", "", 4),
    ],
)
def test_a_malformed_line_of_the_attributes_is_an_error_with_its_number(tmp_path, old, new, line):
    celeba(tmp_path)
    replace(tmp_path / "list_attr_celeba.txt", old, new)
    with pytest.raises(DataError, match=rf"list_attr_celeba.txt' line {line}: '"):
        read(tmp_path)


@pytest.mark.parametrize("value", ["0", "0.5", "yes"])
def test_a_value_of_the_csv_that_is_no_sign_is_an_error_with_its_line(tmp_path, value):
    celeba(tmp_path, csv=True)
    replace(tmp_path / "list_attr_celeba.csv", "000003.jpg,1,-1,1", f"000003.jpg,1,{value},1")
    with pytest.raises(DataError, match=r"list_attr_celeba.csv' line 4: Smiling is '"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "line"),
    [("list_attr_celeba.csv", "000001.jpg,-1,1,1"), ("list_eval_partition.csv", "000001.jpg,0")],
)
def test_a_line_of_a_csv_without_a_name_is_an_error_with_its_number(tmp_path, name, line):
    celeba(tmp_path, csv=True)
    replace(tmp_path / name, line, line.removeprefix("000001.jpg"))
    with pytest.raises(DataError, match=rf"{name}' line 2: it has no image_id"):
        read(tmp_path)


def test_a_csv_with_other_columns_is_an_error(tmp_path):
    celeba(tmp_path, csv=True)
    replace(tmp_path / "list_eval_partition.csv", "partition", "part")
    with pytest.raises(DataError, match=r"list_eval_partition.csv' has no column 'partition'"):
        read(tmp_path)
    replace(tmp_path / "list_attr_celeba.csv", "image_id", "file")
    with pytest.raises(DataError, match=r"list_attr_celeba.csv' has no column 'image_id'"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("list_eval_partition.txt", "000003.jpg 1", "000003.jpg 3", 3),
        ("list_eval_partition.txt", "000003.jpg 1", "000003.jpg", 3),
        ("list_eval_partition.txt", "000003.jpg 1", "1", 3),
        ("identity_CelebA.txt", "000002.jpg 2937", "000002.jpg x", 2),
        ("identity_CelebA.txt", "000002.jpg 2937", "", 2),
    ],
)
def test_a_malformed_line_of_the_other_lists_is_an_error_with_its_number(tmp_path, name, old, new, line):
    celeba(tmp_path)
    replace(tmp_path / name, old, new)
    with pytest.raises(DataError, match=rf"{name}' line {line}: '"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("list_attr_celeba.txt", "img_align_celeba/000001.jpg"),
        ("list_eval_partition.txt", "000001.jpg"),
        ("identity_CelebA.txt", "000001.jpg"),
    ],
)
def test_an_entry_that_is_listed_twice_is_an_error(tmp_path, name, listed):
    celeba(tmp_path)
    replace(tmp_path / name, "000002.jpg", "000001.jpg")
    with pytest.raises(DataError, match=rf"{name}' lists '{listed}' 2 times"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["list_eval_partition.txt", "identity_CelebA.txt"])
def test_a_picture_without_a_split_or_an_identity_is_an_error(tmp_path, name):
    celeba(tmp_path)
    path = tmp_path / name
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(DataError, match=rf"{name}' does not list 2 pictures, for example '000003.jpg'"):
        read(tmp_path)


def test_a_copy_of_part_of_the_set_may_keep_the_whole_partition(tmp_path):
    celeba(tmp_path)
    attributes = tmp_path / "list_attr_celeba.txt"
    attributes.write_text("\n".join(["2", *attributes.read_text().splitlines()[1:4]]))
    for name in ("000003.jpg", "000004.jpg"):
        (tmp_path / "img_align_celeba" / name).unlink()
    layout = read(tmp_path)
    assert contents(layout) == {name: values[:2] for name, values in EXPECTED.items()}
    assert layout.skipped == ()


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt"])
def test_a_list_that_is_absent_is_an_error_with_its_path(tmp_path, name):
    celeba(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=rf"no list file '{tmp_path / name}'"):
        read(tmp_path)


def test_a_list_that_is_not_utf_8_is_an_error(tmp_path):
    celeba(tmp_path)
    (tmp_path / "list_eval_partition.txt").write_bytes(b"Zo\xeb.jpg 0\n")
    with pytest.raises(DataError, match=r"list_eval_partition.txt' cannot be read as text"):
        read(tmp_path)


def test_no_picture_folder_is_an_error_with_its_path(tmp_path):
    celeba(tmp_path, inside="pictures")
    with pytest.raises(DataError, match=rf"no picture folder '{tmp_path / 'img_align_celeba'}'"):
        read(tmp_path)
