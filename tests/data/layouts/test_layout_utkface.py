import numpy as np
import pytest

from edgefair.data.layouts import read_layout
from tests.data.layouts.published import UTKFACE, contents, skipped, utkface


def read(folder):
    return read_layout("utkface", folder)


def test_the_columns_are_the_words_of_the_codes_in_the_names(tmp_path):
    layout = read(utkface(tmp_path))
    assert contents(layout) == {
        "age": [116, 1, 26, 69, 70],
        "age_group": ["more than 70", "0-2", "20-29", "60-69", "more than 70"],
        "gender": ["female", "male", "female", "female", "male"],
        "race": ["Asian", "White", "Indian", "Others", "Black"],
        "picture": [f"UTKFace/{UTKFACE[index]}" for index in (4, 0, 1, 2, 3)],
    }
    assert layout.table.columns["age"].dtype == np.int64
    assert layout.skipped == ()


def test_pictures_lie_in_the_folder_or_one_level_below_it(tmp_path):
    utkface(tmp_path, ["20_0_0_20170101000000001.jpg"], inside=".")
    utkface(tmp_path, ["21_0_0_20170101000000002.jpg"], inside="part1")
    utkface(tmp_path, ["22_0_0_20170101000000003.JPG"], inside="part 2 é")
    utkface(tmp_path, ["23_0_0_20170101000000004.jpg"], inside="part3/deeper")
    assert contents(read(tmp_path))["picture"] == [
        "20_0_0_20170101000000001.jpg",
        "part 2 é/22_0_0_20170101000000003.JPG",
        "part1/21_0_0_20170101000000002.jpg",
    ]


@pytest.mark.parametrize(
    ("age", "group"),
    [
        (0, "0-2"),
        (2, "0-2"),
        (3, "3-9"),
        (9, "3-9"),
        (10, "10-19"),
        (19, "10-19"),
        (20, "20-29"),
        (30, "30-39"),
        (40, "40-49"),
        (50, "50-59"),
        (59, "50-59"),
        (60, "60-69"),
        (69, "60-69"),
        (70, "more than 70"),
        (116, "more than 70"),
    ],
)
def test_the_age_groups_are_those_of_fairface(tmp_path, age, group):
    columns = contents(read(utkface(tmp_path, [f"{age}_0_0_20170101000000000.jpg"])))
    assert (columns["age"], columns["age_group"]) == ([age], [group])


def test_names_that_do_not_say_what_they_should_are_skipped_and_counted(tmp_path):
    utkface(
        tmp_path,
        [
            *UTKFACE,
            "39_1_20170116174525125.jpg.chip.jpg",
            "53__0_20170116184028385.jpg.chip.jpg",
            "61_1_20170109142408075.jpg.chip.jpg",
            "61_1_20170109150557335.jpg.chip.jpg",
            "44_3_4_20170116235150272.jpg.chip.jpg",
            "45_0_5_20170116235150272.jpg.chip.jpg",
            "117_0_0_20170116235150272.jpg.chip.jpg",
            "x_0_0_20170116235150272.jpg.chip.jpg",
        ],
    )
    layout = read(tmp_path)
    assert layout.table.rows == len(UTKFACE)
    assert skipped(layout) == {
        "the name lacks a field": (
            4,
            (
                "UTKFace/39_1_20170116174525125.jpg.chip.jpg",
                "UTKFace/53__0_20170116184028385.jpg.chip.jpg",
                "UTKFace/61_1_20170109142408075.jpg.chip.jpg",
            ),
        ),
        "the name's gender is not one of 0 to 1": (1, ("UTKFace/44_3_4_20170116235150272.jpg.chip.jpg",)),
        "the name's race is not one of 0 to 4": (1, ("UTKFace/45_0_5_20170116235150272.jpg.chip.jpg",)),
        "the name's age is not one of 0 to 116": (
            2,
            ("UTKFace/117_0_0_20170116235150272.jpg.chip.jpg", "UTKFace/x_0_0_20170116235150272.jpg.chip.jpg"),
        ),
    }


def test_a_face_that_lies_in_two_folders_is_one_row(tmp_path):
    utkface(tmp_path)
    utkface(tmp_path, ["26_1_3_20170117153729113.jpg", "27_1_3_20170117153729113.jpg"], inside="part1")
    layout = read(tmp_path)
    assert sorted(contents(layout)["age"]) == [1, 26, 27, 69, 70, 116]
    assert skipped(layout) == {
        "a picture of the same name came before": (1, ("part1/26_1_3_20170117153729113.jpg",)),
    }
