"""Folders of pictures and tables of texts, as users have them."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.data.identity.overlap import check_overlap
from edgefair.data.identity.seen import SeenRows
from edgefair.errors import DataError
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading
from tests.data.pictures import jpeg, make_tokenizer, write_faces

ROLES = ("train", "validation", "audit")
SPEC = ModelSpec(
    inputs=(InputSpec("picture", "uint8", picture=PictureSpec("path", 8, 8)),),
    reading=Reading("decision", "label"),
    classes=("no", "yes"),
)


def config(**changes):
    raw = {"source": "faces.csv", "label": "smiling", "positive": "yes", "sensitive": ["sex"], "picture": "path",
           "folder": "pictures", **changes}  # fmt: skip
    return DataConfig.model_validate(raw)


def read(base, roles=ROLES, **changes):
    return load(config(**changes), base=base, roles=roles)


def everything(data):
    return sum(len(rows) for rows in data.splits.values())


def test_pictures_are_decoded_batch_by_batch_in_the_order_of_the_rows(tmp_path):
    write_faces(tmp_path, rows=60)
    data = read(tmp_path)
    assert data.features == ("path",)
    assert everything(data) == 60
    batches = list(data.audit.inputs(SPEC, 7))
    assert [len(batch["picture"]) for batch in batches[:-1]] == [7] * (len(batches) - 1)
    pixels = np.concatenate([batch["picture"] for batch in batches])
    assert pixels.shape == (len(data.audit), 8, 8, 3)
    by_one = np.concatenate([batch["picture"] for batch in data.audit.inputs(SPEC, 1)])
    assert np.array_equal(pixels, by_one)
    assert len(np.unique(pixels[:, 4, 4, 0])) > 10


def test_names_with_spaces_and_other_letters_are_read(tmp_path):
    write_faces(tmp_path, rows=20, name="Jürgen 日本 {}.jpg")
    assert everything(read(tmp_path, validation=0.4)) == 20


def test_broken_pictures_are_counted_and_left_out(tmp_path):
    paths = write_faces(tmp_path, rows=200)
    (tmp_path / "pictures" / paths[3]).write_bytes(b"")
    (tmp_path / "pictures" / paths[5]).write_bytes(jpeg(1)[:-10])
    (tmp_path / "pictures" / paths[9]).unlink()
    (tmp_path / "pictures" / "nobody.jpg").write_bytes(jpeg(2))
    data = read(tmp_path, max_skipped=0.05)
    assert everything(data) == 197
    found = {item.reason: (item.count, item.examples) for item in data.skipped}
    assert found == {
        "in the folder but not in the table": (1, ("nobody.jpg",)),
        "empty file": (1, (paths[3],)),
        "truncated picture": (1, (paths[5],)),
        "no such file": (1, (paths[9],)),
    }


def test_more_broken_pictures_than_declared_are_an_error(tmp_path):
    paths = write_faces(tmp_path, rows=200)
    for path in paths[:5]:
        (tmp_path / "pictures" / path).write_bytes(b"")
    with pytest.raises(DataError, match=r"5 of 200 of all rows cannot be used: 5 empty file .*\n.*at most 1.0%"):
        read(tmp_path)


def test_a_group_that_loses_more_than_others_is_an_error(tmp_path):
    sexes = ["F"] * 4 + ["M"] * 196
    paths = write_faces(tmp_path, rows=200, sexes=sexes)
    (tmp_path / "pictures" / paths[0]).write_bytes(b"")
    with pytest.raises(DataError, match="1 of 4 of the rows with sex = F cannot be used"):
        read(tmp_path)


@pytest.mark.parametrize("path", ["../secret.jpg", "/etc/passwd", "a/../../b.jpg", "C:\\x.jpg", "..\\x.jpg"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, path):
    write_faces(tmp_path, rows=20, also=[(path, "yes", "F")])
    with pytest.raises(DataError, match="points outside the picture folder"):
        read(tmp_path)


def test_a_picture_that_is_named_twice_is_refused(tmp_path):
    paths = write_faces(tmp_path, rows=20)
    write_faces(tmp_path, rows=20, also=[(paths[4], "yes", "F")])
    with pytest.raises(DataError, match=f"more than once, for example '{paths[4]}'"):
        read(tmp_path)


def test_a_picture_that_breaks_while_it_is_used_is_an_error_that_names_it(tmp_path):
    paths = write_faces(tmp_path, rows=30)
    data = read(tmp_path)
    for path in paths:
        (tmp_path / "pictures" / path).write_bytes(b"gone")
    with pytest.raises(DataError, match=r"face-\d+.jpg' cannot be decoded: not a readable picture"):
        list(data.audit.inputs(SPEC, 4))


def test_equal_pictures_in_training_and_audit_are_a_leak(tmp_path):
    cells = [jpeg(row // 2) for row in range(80)]
    table = {"path": cells, "smiling": ["yes", "no", "no", "yes"] * 20, "sex": ["F", "M"] * 40, "part": ["a", "b"] * 40}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "faces.parquet")
    split = {"column": "part", "train": "a", "audit": "b"}
    data = read(tmp_path, source="faces.parquet", folder=None, split=split)
    with pytest.raises(DataError, match="byte-for-byte copies of training rows"):
        check_overlap(SeenRows.of([data.train, data.validation], data.features), data.audit)
    drawn = read(tmp_path, source="faces.parquet", folder=None)
    assert check_overlap(SeenRows.of([drawn.train, drawn.validation], drawn.features), drawn.audit).shared == 0
    assert everything(drawn) == 80


def test_the_fingerprint_changes_with_a_picture_and_not_with_its_name(tmp_path):
    one, other, third = (tmp_path / name for name in "abc")
    write_faces(one, rows=20)
    write_faces(other, rows=20, name="other {}.jpg")
    paths = write_faces(third, rows=20)
    (third / "pictures" / paths[2]).write_bytes(jpeg(99))
    prints = [load(config(validation=0.4), base=f, roles=ROLES) for f in (one, other, third)]
    first, second, last = ({r: d.splits[r].fingerprint for r in ROLES} for d in prints)
    assert first == second
    assert first != last


@pytest.mark.parametrize("nested", [False, True])
def test_parquet_holds_the_pictures_themselves(tmp_path, nested):
    cells = [jpeg(row) for row in range(40)]
    column = [{"bytes": cell, "path": "x.jpg"} for cell in cells] if nested else cells
    labels = ["yes" if row % 2 else "no" for row in range(40)]
    table = {"path": column, "smiling": labels, "sex": [["F", "M"][row // 2 % 2] for row in range(40)]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "faces.parquet", row_group_size=7)
    data = read(tmp_path, source="faces.parquet", folder=None)
    assert everything(data) == 40
    assert np.concatenate([batch["picture"] for batch in data.audit.inputs(SPEC, 3)]).shape == (
        len(data.audit),
        8,
        8,
        3,
    )


def test_where_merge_and_thin_choose_rows(tmp_path):
    table = {
        "x": np.arange(1000.0),
        "label": ["a", "b", "c", "d"] * 250,
        "tone": np.repeat([1, 2, 3, 4, 5], 200),
        "part": (["train"] * 4 + ["test"] * 4) * 125,
    }
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "t.parquet")
    raw = {"source": "t.parquet", "label": "label", "positive": "b", "sensitive": ["tone"], "exclude": ["part"],
           "split": {"column": "part"}, "validation": 0.1, "where": {"label": ["a", "b"]},
           "merge": {"tone": {"light": [1, 2, 3], "dark": [4, 5]}},
           "thin": [{"where": {"tone": "dark"}, "keep": 0.1}]}  # fmt: skip
    with pytest.raises(DataError, match="is never 'z'"):
        load(DataConfig.model_validate({**raw, "where": {"label": ["a", "z"]}}), base=tmp_path, roles=ROLES)
    data = load(DataConfig.model_validate(raw), base=tmp_path, roles=ROLES)
    assert data.classes == ("a", "b")
    count = {role: dict(zip(*np.unique(rows.sensitive["tone"].text(), return_counts=True), strict=True))
             for role, rows in data.splits.items()}  # fmt: skip
    assert count["audit"] == {"dark": 100, "light": 150}
    assert count["train"]["light"] > 120
    assert 2 <= count["train"]["dark"] <= 20
    assert data.shares == {role: len(rows) for role, rows in data.splits.items()} | {
        "unused": 0, "left_out_by_keep": 0, "thinned_out": 1000 - 500 - everything(data), "dropped": 0,
        "copies_left_out": 0,
        "left_out_by_where": 500,
    }  # fmt: skip
    mixed = np.random.default_rng(0).permutation(1000)
    pyarrow.parquet.write_table(
        pyarrow.table({k: np.array(v)[mixed] for k, v in table.items()}), tmp_path / "t.parquet"
    )
    again = load(DataConfig.model_validate(raw), base=tmp_path, roles=ROLES)
    assert again.train.fingerprint == data.train.fingerprint


def test_texts_become_tokens_of_a_fixed_number(tmp_path):
    make_tokenizer(tmp_path / "tok")
    words = ["the good cat", "a bad dog sat there", "good", "bad bad bad"]
    table = {"comment": words * 20, "toxic": ["no", "yes"] * 40, "sex": ["F", "F", "M", "M"] * 20}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "c.parquet")
    raw = {"source": "c.parquet", "label": "toxic", "positive": "yes", "sensitive": ["sex"], "text": "comment",
           "tokenizer": "tok", "equal_rows": "people"}  # fmt: skip
    data = load(DataConfig.model_validate(raw), base=tmp_path, roles=ROLES)
    column = data.audit.table.columns["comment"]
    inputs = tuple(
        InputSpec(part, "int64", tokens=column.tokenizer.spec(column="comment", part=part, length=6))
        for part in ("ids", "mask", "types")
    )
    spec = ModelSpec(inputs, Reading("logits", "logits"), data.classes)
    batch = next(data.audit.inputs(spec, 5))
    assert {name: array.shape for name, array in batch.items()} == dict.fromkeys(("ids", "mask", "types"), (5, 6))
    assert np.array_equal(batch["mask"] == 0, batch["ids"] == column.tokenizer.pad)
    assert column.longer_than(4).sum() == sum(text == "a bad dog sat there" for text in column.texts.text())

    other = json.loads((tmp_path / "tok" / "tokenizer.json").read_text())
    other["truncation"] = None
    (tmp_path / "tok" / "tokenizer.json").write_text(json.dumps(other, indent=3))
    changed = load(DataConfig.model_validate(raw), base=tmp_path, roles=ROLES)
    with pytest.raises(DataError, match="is not the model's"):
        next(changed.audit.inputs(spec, 5))


def test_a_folder_without_a_tokenizer_says_what_is_missing(tmp_path):
    pyarrow.parquet.write_table(
        pyarrow.table({"comment": ["a", "b"] * 9, "toxic": ["no", "yes"] * 9, "sex": ["F", "M"] * 9}),
        tmp_path / "c.parquet",
    )
    raw = {"source": "c.parquet", "label": "toxic", "positive": "yes", "sensitive": ["sex"], "text": "comment",
           "tokenizer": "tok"}  # fmt: skip
    with pytest.raises(DataError, match=r"tok/tokenizer.json'\n.*fast tokenizer"):
        load(DataConfig.model_validate(raw), base=tmp_path, roles=ROLES)
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok" / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="is not a tokenizer"):
        load(DataConfig.model_validate(raw), base=tmp_path, roles=ROLES)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"text": "path"}, "either pictures or texts"),
        ({"features": ["path"]}, "sees no other features"),
        ({"picture": None}, "`folder` says where pictures are"),
        ({"picture": None, "folder": None, "text": "path"}, "belong together"),
        ({"layout": "celebra"}, "unknown layout 'celebra'"),
        ({"glyphs": {"rows": 500}}, "the source is 'faces.csv'"),
    ],
)
def test_sections_that_contradict_themselves_are_refused(changes, why):
    with pytest.raises(ValueError, match=why):
        config(**changes)


def test_a_class_that_only_audit_rows_have_is_refused(tmp_path):
    table = {
        "x": np.arange(300.0),
        "kind": ["a", "b"] * 100 + ["c"] * 100,
        "sex": ["F", "M"] * 150,
        "part": ["train", "train", "test", "test"] * 50 + ["test"] * 100,
    }
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "t.parquet")
    raw = {"source": "t.parquet", "label": "kind", "sensitive": "sex", "exclude": "part", "split": {"column": "part"}}
    with pytest.raises(DataError, match="'kind' is 'c' in 100 audit rows and in no training row"):
        load(DataConfig.model_validate(raw), base=tmp_path, roles=ROLES)
    two = load(
        DataConfig.model_validate({**raw, "where": {"kind": ["a", "b"]}, "positive": "b"}), base=tmp_path, roles=ROLES
    )
    assert two.classes == ("a", "b")


def test_paths_may_be_in_parquet_too(tmp_path):
    paths = write_faces(tmp_path, rows=40)
    table = {"path": paths, "smiling": ["no", "yes"] * 20, "sex": ["F", "F", "M", "M"] * 10}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "faces.parquet")
    by_csv, by_parquet = read(tmp_path), read(tmp_path, source="faces.parquet")
    assert {role: rows.fingerprint for role, rows in by_csv.splits.items()} == {
        role: rows.fingerprint for role, rows in by_parquet.splits.items()
    }


def test_pictures_for_a_model_of_numbers_are_an_error(tmp_path):
    write_faces(tmp_path, rows=20)
    data = read(tmp_path, validation=0.4)
    spec = ModelSpec((InputSpec("x", "float32", array="path"),), SPEC.reading, SPEC.classes)
    with pytest.raises(DataError, match="holds pictures"):
        next(data.audit.inputs(spec, 5))


def test_a_picture_column_that_is_not_there_is_an_error(tmp_path):
    write_faces(tmp_path, rows=20)
    with pytest.raises(DataError, match="no column 'age'"):
        read(tmp_path, picture="age")
