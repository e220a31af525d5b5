import csv
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.data.config import DataConfig, SplitConfig
from edgefair.data.dataset import load
from edgefair.data.files.csv_table import CsvConfig
from edgefair.data.files.readers import read_table
from edgefair.data.files.table import Categories, Table
from edgefair.data.groups import joint_groups
from edgefair.data.hashing import hash_rows
from edgefair.data.rows import TableRows
from edgefair.data.values import as_categories
from edgefair.errors import DataError
from edgefair.probe.onnx_files.spec import Column as Item
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, Reading, encode
from edgefair.training.features import spec_for
from edgefair.training.settings import ModelConfig

COLUMNS = {
    "age": [30, 40, 50, 60, 20, 35, 45, 55],
    "job": ["a", "b", "a", "c", "b", "a", "c", "b"],
    "sex": ["F", "M", "F", "M", "F", "M", "F", "M"],
    "pay": ["low", "high", "high", "low", "low", "high", "low", "high"],
    "part": ["train"] * 3 + ["val"] + ["test"] * 4,
}
BASE = {
    "source": "people.parquet",
    "label": "pay",
    "positive": "high",
    "sensitive": ["sex"],
    "split": {"column": "part", "train": ["train"], "validation": ["val"], "audit": ["test"]},
}


def write(folder, columns, name="people.parquet"):
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / name)
    elif name.endswith(".csv"):
        header = ",".join(columns)
        lines = [",".join("" if v is None else str(v) for v in row) for row in zip(*columns.values(), strict=True)]
        (folder / name).write_text("\n".join([header, *lines]) + "\n")
    else:
        np.savez(folder / name, **{key: np.array(value) for key, value in columns.items()})


def loaded(folder, columns=None, *, roles=("train", "validation", "audit"), name="people.parquet", **changes):
    write(folder, columns or COLUMNS, name)
    return load(DataConfig.model_validate(BASE | {"source": name} | changes), base=folder, roles=roles)


@pytest.mark.parametrize("name", ["people.parquet", "people.csv", "people.npz"])
def test_every_format_gives_the_same_rows(tmp_path, name):
    data = loaded(tmp_path, name=name)
    audit = data.audit
    assert data.features == ("age", "job")
    assert data.classes == ("low", "high")
    assert audit.label.tolist() == [0, 1, 0, 1]
    assert audit.sensitive["sex"].text() == ["F", "M", "F", "M"]
    assert audit.table.columns["age"].tolist() == [20, 35, 45, 55]
    assert audit.table.columns["job"].text() == ["b", "a", "c", "b"]
    assert audit.fingerprint == loaded(tmp_path).audit.fingerprint
    assert sorted([*data.train.table.columns["age"], *data.validation.table.columns["age"]]) == [30, 40, 50, 60]


def test_sensitive_label_and_split_columns_are_no_features_unless_asked(tmp_path):
    assert "sex" in loaded(tmp_path, allow_sensitive_features=True).features
    assert loaded(tmp_path, features=["age"]).features == ("age",)
    assert loaded(tmp_path, exclude=["age"]).features == ("job",)


def test_a_column_of_codes_is_categorical_when_declared(tmp_path):
    column = loaded(tmp_path, categorical=["age"]).audit.table.columns["age"]
    assert isinstance(column, Categories)
    assert column.text() == ["20", "35", "45", "55"]


def taught(columns):
    """The table with its three training rows five times, so that a vocabulary takes their values."""
    return {name: [*values[:3] * 5, *values[3:]] for name, values in columns.items()}


def test_encoding_by_codes_equals_encoding_raw_values_on_the_device(tmp_path):
    data = loaded(tmp_path, taught(COLUMNS))
    spec = spec_for(data, ModelConfig())
    raw = {"age": data.audit.table.columns["age"], "job": np.array(data.audit.table.columns["job"].text())}
    batches = list(data.audit.inputs(spec, 3))
    assert [len(batch["numeric"]) for batch in batches] == [3, 1]
    for item in spec.inputs:
        assert np.array_equal(np.concatenate([batch[item.name] for batch in batches]), encode(raw, item))


@given(data=st.data(), batch=st.integers(1, 9))
def test_encoding_by_codes_equals_encoding_raw_values_for_every_type_and_vocabulary(data, batch):
    """The fast path through codes, and `probe.onnx_files.spec.encode` on the raw column, as a device does it."""
    n = data.draw(st.integers(1, 20))
    kinds = {
        "text": st.text(max_size=3),
        "flag": st.booleans(),
        "code": st.integers(-3, 3),
        "level": st.sampled_from([0.5, 1.0, -2.0]),
    }
    raw = {name: np.array(data.draw(st.lists(kind, min_size=n, max_size=n))) for name, kind in kinds.items()}
    raw["number"] = np.array(
        data.draw(st.lists(st.floats(-1e6, 1e6, width=32), min_size=n, max_size=n)), dtype=np.float32
    )
    words = st.lists(st.one_of(*(kind.map(str) for kind in kinds.values())).filter(len), unique=True, max_size=6)
    columns = tuple(Item(name, tuple(data.draw(words))) for name in kinds)
    spec = ModelSpec(
        inputs=(InputSpec("categorical", "int32", columns), InputSpec("numeric", "float32", (Item("number"),))),
        reading=Reading("decision", "label"),
        classes=("no", "yes"),
    )
    table = Table({name: raw[name] if name == "number" else Categories.of(raw[name]) for name in raw})
    rows = TableRows(table, tuple(raw), np.zeros(n, dtype=np.int64), {}, None, None, tuple(raw))
    batches = list(rows.inputs(spec, batch))
    for item in spec.inputs:
        assert np.array_equal(np.concatenate([part[item.name] for part in batches]), encode(raw, item))


def test_a_category_that_training_never_saw_is_unseen(tmp_path):
    columns = COLUMNS | {"job": ["a", "b", "a", "b", "z", "a", None, "b"]}
    data = loaded(tmp_path, taught(columns))
    codes = np.concatenate([batch["categorical"] for batch in data.audit.inputs(spec_for(data, ModelConfig()), 10)])
    assert codes[:, 0].tolist()[0] == -1
    assert codes[:, 0].tolist()[2] == -1


def test_a_drawn_split_follows_its_own_seed_and_keeps_subjects_together(tmp_path):
    rows = 400
    columns = {
        "x": [float(row) for row in range(rows)],
        "who": [str(index // 4) for index in range(rows)],
        "sex": ["F", "M"] * (rows // 2),
        "pay": ["low", "high", "high", "low"] * (rows // 4),
    }
    write(tmp_path, columns)
    config = DataConfig(source="people.parquet", label="pay", positive="high", sensitive=("sex",), subject="who")
    redrawn = config.model_copy(update={"split": SplitConfig(seed=1)})
    one, same, other = (
        load(item, base=tmp_path, roles=["train", "validation", "audit"]) for item in (config, config, redrawn)
    )
    assert one.audit.fingerprint == same.audit.fingerprint != other.audit.fingerprint
    assert one.validation.fingerprint == same.validation.fingerprint != other.validation.fingerprint
    subjects = {role: {int(x) // 4 for x in rows_.table.columns["x"]} for role, rows_ in one.splits.items()}
    assert not subjects["train"] & subjects["audit"]
    assert not subjects["validation"] & (subjects["audit"] | subjects["train"])
    assert len(one.audit) == pytest.approx(0.3 * rows, abs=60)


BAD = [
    ({"label": "payy"}, None, "did you mean 'pay'"),
    ({"sensitive": ["sexx"]}, None, "did you mean 'sex'"),
    ({"features": ["agee"]}, None, "did you mean 'age'"),
    ({"exclude": ["agee"]}, None, "did you mean 'age'"),
    ({}, {"pay": ["low"] * 8}, "only one value"),
    ({}, {"pay": ["low", None] * 4}, "no label in 4 rows"),
    ({"positive": "hig"}, None, "did you mean 'high'"),
    ({"positive": None}, None, "the positive class is not specified"),
    ({"positive": None, "classes": ["low", "mid"]}, None, "data.classes does not list"),
    ({}, {"sex": ["F", "M", None, "M"] * 2}, "no value in 2 rows"),
    ({}, {"age": [1.0, float("nan")] * 4}, "feature 'age' is NaN, empty or infinite"),
    ({}, {"age": [1.0, float("inf")] * 4}, "feature 'age' is NaN, empty or infinite"),
    ({}, {"age": [1.0, 1e300] * 4}, "infinite"),
    ({"split": {"column": "part", "train": ["trian"], "audit": ["test"]}}, None, "is never 'trian'"),
    ({"sensitive": ["age"]}, {"age": [0.5, 1.5] * 4}, "holds fractions"),
    ({"source": "absent.parquet"}, None, "no data file"),
    ({"source": "census-incom"}, None, "did you mean 'census-income'"),
    ({"source": "people.xlsx"}, None, "unknown data source"),
]


@pytest.mark.parametrize(("changes", "columns", "message"), BAD)
def test_data_that_is_not_as_declared_is_refused_by_name(tmp_path, changes, columns, message):
    write(tmp_path, COLUMNS | (columns or {}))
    config = DataConfig.model_validate(BASE | changes)
    with pytest.raises(DataError, match=message):
        load(config, base=tmp_path, roles=["train", "audit"])


@pytest.mark.parametrize("name", ["people.parquet", "people.csv", "people.npz"])
@pytest.mark.parametrize("content", [b"", b"\x00garbage\xff" * 20, None])
def test_a_corrupt_empty_or_truncated_file_is_refused(tmp_path, name, content):
    write(tmp_path, COLUMNS, name)
    path = tmp_path / name
    if content is None and name != "people.csv":
        content = path.read_bytes()[:-40]
    path.write_bytes(content or b"")
    with pytest.raises(DataError, match=r"cannot be read|no column|no rows"):
        load(DataConfig.model_validate(BASE | {"source": name}), base=tmp_path, roles=["audit"])


@pytest.mark.parametrize("name", ["people.parquet", "people.csv", "people.npz"])
def test_an_empty_text_is_a_missing_value_in_every_format(tmp_path, name):
    with pytest.raises(DataError, match="sensitive column 'sex' has no value in 1 rows"):
        loaded(tmp_path, COLUMNS | {"sex": ["F", "M", "F", "M", "F", "", "F", "M"]}, name=name)
    with pytest.raises(DataError, match="no label in 1 rows"):
        loaded(tmp_path, COLUMNS | {"pay": ["low", "high", "", "low", "low", "high", "low", "high"]}, name=name)
    jobs = COLUMNS | {"job": ["a", "", "a", "c", "b", "", "c", "b"]}
    assert loaded(tmp_path, jobs, name=name).audit.table.columns["job"].text() == ["b", None, "c", "b"]


@pytest.mark.parametrize("name", ["people.parquet", "people.csv", "people.npz"])
def test_booleans_read_alike_in_every_format_and_as_the_probe_spells_them(tmp_path, name):
    smiling = [True, False, False, True] * 2
    data = loaded(tmp_path, COLUMNS | {"pay": smiling, "job": smiling[::-1]}, name=name, positive=True)
    assert data.classes == ("False", "True")
    assert data.audit.label.tolist() == [1, 0, 0, 1]
    assert data.audit.table.columns["job"].text() == np.array(smiling[::-1])[4:].astype(str).tolist()


def test_a_text_na_is_a_value_like_any_other(tmp_path):
    jobs = COLUMNS | {"job": ["NA", "b", "a", "c", "NA", "a", "None", "b"]}
    assert loaded(tmp_path, jobs, name="people.csv").audit.table.columns["job"].text() == ["NA", "a", "None", "b"]


def test_text_that_is_not_utf8_is_refused_and_not_read_as_bytes(tmp_path):
    write(tmp_path, COLUMNS, "people.csv")
    path = tmp_path / "people.csv"
    path.write_bytes(path.read_bytes().replace(b",F,", b",\xfc,"))
    with pytest.raises(DataError, match="invalid UTF8 data"):
        load(DataConfig.model_validate(BASE | {"source": path.name}), base=tmp_path, roles=["audit"])


def test_bytes_of_npz_are_text(tmp_path):
    columns = {key: np.array(value) for key, value in COLUMNS.items()} | {"sex": np.array([b"F", b"M"] * 4)}
    np.savez(tmp_path / "people.npz", **columns)
    config = DataConfig.model_validate(BASE | {"source": "people.npz"})
    assert load(config, base=tmp_path, roles=["audit"]).audit.sensitive["sex"].present == ("F", "M")


def test_a_column_name_given_twice_is_refused_where_the_cells_differ_and_is_asked_for(tmp_path):
    rows = ["F,F,low,train,1,2", "M,M,high,train,2,3", "F,F,high,test,3,4", "M,M,low,test,5,6"]
    (tmp_path / "people.csv").write_text("\n".join(["sex,sex,pay,part,x,x", *rows]))
    config = {
        "source": "people.csv",
        "label": "pay",
        "positive": "high",
        "sensitive": "sex",
        "split": {"column": "part"},
    }
    with pytest.raises(DataError, match="has 2 columns named 'x'"):
        load(DataConfig.model_validate(config), base=tmp_path, roles=["audit"])
    (tmp_path / "people.csv").write_text("\n".join(["sex,sex,pay,part,y,x", *rows]))
    data = load(DataConfig.model_validate(config | {"exclude": ["x"]}), base=tmp_path, roles=["audit"])
    assert data.features == ("y",)
    assert data.audit.sensitive["sex"].present == ("F", "M")
    (tmp_path / "people.csv").write_text(
        "\n".join(["sex,sex,pay,part,x,x", *(row.replace("M,M", "M,F") for row in rows)])
    )
    with pytest.raises(DataError, match="has 2 columns named 'sex', 2 columns named 'x'"):
        load(DataConfig.model_validate(config), base=tmp_path, roles=["audit"])


@pytest.mark.parametrize(("extra", "message"), [(np.array(3), "a single value"), (None, "not an array")])
def test_a_member_of_npz_that_is_no_column_is_refused(tmp_path, extra, message):
    columns = {key: np.array(value) for key, value in COLUMNS.items()}
    np.savez(tmp_path / "people.npz", **columns, **({} if extra is None else {"extra": extra}))
    if extra is None:
        with zipfile.ZipFile(tmp_path / "people.npz", "a") as archive:
            archive.writestr("extra", "no array at all")
    with pytest.raises(DataError, match=f"'extra' is {message}"):
        load(DataConfig.model_validate(BASE | {"source": "people.npz"}), base=tmp_path, roles=["audit"])


@pytest.mark.parametrize("name", ["people.parquet", "people.npz"])
def test_a_damaged_file_is_refused_or_read_and_never_a_traceback(tmp_path, name):
    columns = {key: np.array(value) for key, value in COLUMNS.items()}
    if name.endswith(".npz"):
        np.savez_compressed(tmp_path / name, **columns)
    else:
        write(tmp_path, COLUMNS, name)
    good, rng, refused = (tmp_path / name).read_bytes(), np.random.default_rng(0), 0
    for _ in range(100):
        damaged = bytearray(good)
        for position in rng.integers(0, len(good), 8):
            damaged[position] = rng.integers(256)
        (tmp_path / name).write_bytes(damaged)
        try:
            load(DataConfig.model_validate(BASE | {"source": name}), base=tmp_path, roles=["audit"])
        except DataError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (["train"] * 2 + ["old", "val"] + ["test"] * 4, "'old' in 1 rows, which is in no split"),
        (["train"] * 2 + [None, "val"] + ["test"] * 4, "no value in 1 rows"),
    ],
)
def test_a_row_that_no_split_takes_is_an_error_until_it_is_declared_unused(tmp_path, part, message):
    with pytest.raises(DataError, match=message):
        loaded(tmp_path, COLUMNS | {"part": part})
    if "old" in part:
        split = BASE["split"] | {"unused": "old"}
        data = loaded(tmp_path, COLUMNS | {"part": part}, split=split)
        assert sum(len(rows) for rows in data.splits.values()) == 7
        assert data.shares["unused"] == 1


def test_a_row_without_a_subject_is_refused(tmp_path):
    columns = COLUMNS | {"who": ["p1", "p2", None, "p3", "p4", "p5", "p6", "p7"]}
    with pytest.raises(DataError, match="subject column 'who' has no value in 1 rows"):
        loaded(tmp_path, columns, subject="who")


def test_npz_with_objects_is_refused_and_not_unpickled(tmp_path):
    np.savez(tmp_path / "people.npz", pay=np.array([{"a": 1}], dtype=object), sex=np.array(["F"]))
    config = DataConfig(source="people.npz", label="pay", positive="x", sensitive=("sex",))
    with pytest.raises(DataError, match="pickled Python objects, which are never loaded"):
        load(config, base=tmp_path, roles=["audit"])


def test_a_subject_on_both_sides_of_a_given_split_is_refused(tmp_path):
    columns = COLUMNS | {"who": ["p1", "p2", "p3", "p4", "p4", "p5", "p6", "p7"]}
    write(tmp_path, columns)
    config = DataConfig.model_validate(BASE | {"subject": "who"})
    with pytest.raises(DataError, match=r"audit split, for example 'p4'"):
        load(config, base=tmp_path, roles=["audit"])


@given(st.lists(st.tuples(st.integers(-5, 5), st.sampled_from("xyz")), min_size=1, max_size=50), st.randoms())
def test_row_hashes_depend_on_the_content_alone(rows, random):
    numbers, texts = np.array([row[0] for row in rows]), [row[1] for row in rows]
    hashes = hash_rows({"n": numbers, "t": Categories.of(texts)}, rows=len(rows))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            assert (hashes[i] == hashes[j]) == (one == other)
    values = ["z", "unused", "y", "x"]
    recoded = Categories(tuple(values), np.array([values.index(text) for text in texts], dtype=np.int32))
    assert np.array_equal(hashes, hash_rows({"t": recoded, "n": numbers.astype(np.float32)}, rows=len(rows)))
    order = np.array(random.sample(range(len(rows)), len(rows)))
    assert np.array_equal(hashes[order], hash_rows({"n": numbers[order], "t": recoded.take(order)}, rows=len(rows)))


def test_swapping_the_values_of_two_columns_changes_the_hash():
    one = hash_rows({"a": Categories.of(["x"]), "b": Categories.of(["y"])}, rows=1)
    other = hash_rows({"a": Categories.of(["y"]), "b": Categories.of(["x"])}, rows=1)
    assert one != other


def test_joint_groups_have_one_order_whatever_the_coding():
    sex = Categories(("M", "F"), np.array([0, 1, 0], dtype=np.int32))
    age = Categories(("young", "old"), np.array([0, 1, 1], dtype=np.int32))
    index, groups = joint_groups({"sex": sex, "age": age}, ("sex", "age"))
    assert groups == (("F", "old"), ("M", "old"), ("M", "young"))
    assert index.tolist() == [2, 0, 1]


def test_lines_within_a_quoted_text_are_one_cell_in_a_file_of_any_size(tmp_path):
    texts = [f"{'long ' * 50}\n{row}\r\nend" for row in range(8000)]
    with (tmp_path / "people.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["job", "pay"], *([text, "low"] for text in texts)])
    assert (tmp_path / "people.csv").stat().st_size > 2 << 20
    assert read_table(tmp_path / "people.csv", lambda names: {"job"}).columns["job"].text() == texts


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_csv_file_is_read_in_the_encoding_that_it_is_said_to_have(tmp_path, encoding):
    path = tmp_path / "people.csv"
    path.write_text("Größe;job\r\n1;Bäcker\r\n", encoding=encoding, newline="")
    form = CsvConfig(encoding=encoding.removesuffix("-sig"))
    table = read_table(path, lambda names: names, csv=form)
    assert table.columns["Größe"].tolist() == [1]
    assert table.columns["job"].text() == ["Bäcker"]
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_table(path, lambda names: names, csv=CsvConfig(encoding="ascii"))


def test_an_encoding_that_there_is_not_is_refused():
    for encoding in ("cp125", "zlib", ""):
        with pytest.raises(ValueError, match="for example utf-8"):
            CsvConfig(encoding=encoding)


@pytest.mark.parametrize("name", ["people.parquet", "people.csv", "people.npz"])
def test_what_is_not_used_may_be_anything(tmp_path, name):
    if name == "people.npz":
        columns = {key: np.array(value) for key, value in COLUMNS.items()}
        np.savez(tmp_path / name, **columns, odd=np.array([{}], dtype=object))
    elif name == "people.csv":
        lines = [",".join(map(str, row)) for row in zip(*COLUMNS.values(), strict=True)]
        text = "\n".join([",".join(COLUMNS) + ",odd,odd,", *(f'{line},"1,5",M\xfcll,02/01/2024' for line in lines)])
        (tmp_path / name).write_bytes(text.encode("cp1252"))
    else:
        odd = pyarrow.array([[1], [2, 3]] * 4)
        pyarrow.parquet.write_table(pyarrow.table(COLUMNS | {"odd": odd}), tmp_path / name)
    config = BASE | {"source": name, "features": ["age", "job"]}
    found = load(DataConfig.model_validate(config), base=tmp_path, roles=["audit"])
    assert found.audit.fingerprint == loaded(tmp_path).audit.fingerprint


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
def test_dates_of_npz_are_text(tmp_path, unit):
    born = np.array(["2024-01-31", "NaT"] * 4, dtype=f"datetime64[{unit}]")
    np.savez(tmp_path / "people.npz", **{key: np.array(value) for key, value in COLUMNS.items()}, born=born)
    config = DataConfig.model_validate(BASE | {"source": "people.npz", "id": "born"})
    assert (
        as_categories(read_table(tmp_path / "people.npz", lambda _: {"born"}).columns["born"], "born").text()
        == [
            "2024-01-31",
            None,
        ]
        * 4
    )
    with pytest.raises(DataError, match=r"column 'born' holds dates"):
        load(config.model_copy(update={"id": None}), base=tmp_path, roles=["audit"])
