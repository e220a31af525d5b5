import importlib
import time

import pytest

from edgefair.data.config import SplitConfig
from edgefair.data.layouts import LAYOUTS, PICTURE, read_layout
from edgefair.errors import DataError
from tests.data.layouts.published import celeba, ck_plus, contents, fairface, raf_db, utkface

PUBLISHED = {"celeba": celeba, "fairface": fairface, "utkface": utkface, "raf-db": raf_db, "ck+": ck_plus}


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_a_layout_promises_is_in_its_table(tmp_path, name):
    layout = read_layout(name, PUBLISHED[name](tmp_path))
    columns = layout.table.columns
    assert {len(column) for column in columns.values()} == {layout.table.rows}
    paths = columns[PICTURE].text()
    assert len(set(paths)) == len(paths) >= 4
    assert all((tmp_path / path).is_file() for path in paths)
    subject = LAYOUTS[name].subject
    assert subject is None or not columns[subject].missing()
    split = LAYOUTS[name].split
    if split:
        SplitConfig.model_validate(split)
        listed = {value for role in ("train", "validation", "audit") for value in split.get(role, [])}
        assert set(columns[split["column"]].present) == listed


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_names_a_function_that_exists(name):
    module, function = LAYOUTS[name].reader.split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_layouts_and_their_defaults():
    assert {name: (published.subject, dict(published.split)) for name, published in LAYOUTS.items()} == {
        "celeba": ("identity", {"column": "split", "train": ["train"], "validation": ["val"], "audit": ["test"]}),
        "fairface": (None, {"column": "split", "train": ["train"], "audit": ["val"]}),
        "utkface": (None, {}),
        "raf-db": (None, {"column": "split", "train": ["train"], "audit": ["test"]}),
        "ck+": ("subject", {}),
    }


def test_an_unknown_set_is_an_error_that_names_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"unknown picture set 'fair-face' \(did you mean 'fairface'\?\)"):
        read_layout("fair-face", tmp_path)


def test_a_folder_that_is_absent_or_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("absent", "file"):
        with pytest.raises(DataError, match=f"no folder '.*{name}'"):
            read_layout("utkface", tmp_path / name)


def test_a_folder_without_a_usable_picture_is_an_error_that_says_why(tmp_path):
    with pytest.raises(DataError, match="has no usable picture of utkface: it has none"):
        read_layout("utkface", tmp_path)
    utkface(tmp_path, ["26_0.jpg", "27_0.jpg"])
    with pytest.raises(DataError, match=r"2 the name lacks a field, as 'UTKFace/26_0.jpg'"):
        read_layout("utkface", tmp_path)


def test_pictures_are_not_opened_and_what_is_no_picture_is_not_listed(tmp_path):
    utkface(tmp_path)
    place = tmp_path / "UTKFace"
    (place / "30_0_0_20170101000000000.jpg").write_bytes(b"no picture inside")
    (place / "31_0_0_20170101000000000.txt").write_text("")
    (place / "._32_0_0_20170101000000000.jpg").write_bytes(b"")
    (place / "33_0_0_20170101000000000.jpg").mkdir()
    ages = contents(read_layout("utkface", tmp_path))["age"]
    assert sorted(ages) == [1, 26, 30, 69, 70, 116]


def test_two_hundred_thousand_lines_are_read_in_seconds(tmp_path, monkeypatch):
    # The listing is replaced: making as many files would take longer than reading them.
    count, attributes = 200_000, [f"A{index}" for index in range(40)]
    names = [f"{index + 1:06d}.jpg" for index in range(count)]
    signs = [" ".join(f"{1 - 2 * ((index >> bit) & 1):2d}" for bit in range(40)) for index in range(64)]
    body = (f"{name} {signs[index % 64]}\n" for index, name in enumerate(names))
    (tmp_path / "list_attr_celeba.txt").write_text(f"{count}\n{' '.join(attributes)}\n" + "".join(body))
    for name in ("list_eval_partition.txt", "identity_CelebA.txt"):
        (tmp_path / name).write_text("".join(f"{file} {index % 3}\n" for index, file in enumerate(names)))
    present = [f"img_align_celeba/{name}" for name in names]
    monkeypatch.setattr("edgefair.data.layouts.celeba.pictures_in", lambda folder, inside: present)
    start = time.process_time()
    layout = read_layout("celeba", tmp_path)
    seconds = time.process_time() - start
    assert layout.table.rows == count
    assert layout.table.columns["A0"].codes[:4].tolist() == [1, 0, 1, 0]
    assert layout.table.columns["A1"].codes[:4].tolist() == [1, 1, 0, 0]
    assert seconds < 10
