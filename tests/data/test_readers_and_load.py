import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.data.config import DataConfig, SplitConfig
from edgefair.data.dataset import load
from edgefair.data.groups import joint_groups
from edgefair.data.hashing import hash_rows
from edgefair.data.table import Categories
from edgefair.errors import DataError
from edgefair.probe.spec import encode
from edgefair.training.features import spec_for

COLUMNS = {
    "age": [30, 40, 50, 60, 20, 35, 45, 55],
    "job": ["a", "b", "a", "c", "b", "a", "c", "b"],
    "sex": ["F", "M", "F", "M", "F", "M", "F", "M"],
    "pay": ["low", "high", "high", "low", "low", "high", "low", "high"],
    "part": ["train"] * 4 + ["test"] * 4,
}
BASE = {
    "source": "people.parquet",
    "label": "pay",
    "positive": "high",
    "sensitive": ["sex"],
    "split": {"column": "part", "train": ["train"], "audit": ["test"]},
    "validation": 0.25,
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
    return load(DataConfig.model_validate(BASE | {"source": name} | changes), base=folder, seed=0, roles=roles)


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


def test_encoding_by_codes_equals_encoding_raw_values_on_the_device(tmp_path):
    data = loaded(tmp_path)
    spec = spec_for(data, threshold=0.5)
    raw = {"age": data.audit.table.columns["age"], "job": np.array(data.audit.table.columns["job"].text())}
    batches = list(data.audit.inputs(spec, 3))
    assert [len(batch["numeric"]) for batch in batches] == [3, 1]
    for item in spec.inputs:
        assert np.array_equal(np.concatenate([batch[item.name] for batch in batches]), encode(raw, item))


def test_a_category_that_training_never_saw_is_unseen(tmp_path):
    columns = COLUMNS | {"job": ["a", "b", "a", "b", "z", "a", None, "b"]}
    data = loaded(tmp_path, columns)
    codes = np.concatenate([batch["categorical"] for batch in data.audit.inputs(spec_for(data, threshold=0.5), 10)])
    assert codes[:, 0].tolist()[0] == -1
    assert codes[:, 0].tolist()[2] == -1


def test_a_drawn_audit_set_stays_whatever_seed_a_run_has_and_keeps_subjects_together(tmp_path):
    rows = 400
    columns = {
        "x": list(range(rows)),
        "who": [str(index // 4) for index in range(rows)],
        "sex": ["F", "M"] * (rows // 2),
        "pay": ["low", "high", "high", "low"] * (rows // 4),
    }
    write(tmp_path, columns)
    config = DataConfig(source="people.parquet", label="pay", positive="high", sensitive=("sex",), subject="who")
    one, same, other = (
        load(config, base=tmp_path, seed=seed, roles=["train", "validation", "audit"]) for seed in (0, 0, 1)
    )
    assert one.audit.fingerprint == same.audit.fingerprint == other.audit.fingerprint
    assert one.validation.fingerprint == same.validation.fingerprint != other.validation.fingerprint
    redrawn = config.model_copy(update={"split": SplitConfig(seed=1)})
    assert load(redrawn, base=tmp_path, seed=0, roles=["audit"]).audit.fingerprint != one.audit.fingerprint
    subjects = {role: {int(x) // 4 for x in rows_.table.columns["x"]} for role, rows_ in one.splits.items()}
    assert not subjects["train"] & subjects["audit"]
    assert not subjects["validation"] & (subjects["audit"] | subjects["train"])
    assert len(one.audit) == pytest.approx(0.3 * rows, abs=4)


BAD = [
    ({"label": "payy"}, None, "did you mean 'pay'"),
    ({"sensitive": ["sexx"]}, None, "did you mean 'sex'"),
    ({"features": ["agee"]}, None, "did you mean 'age'"),
    ({"exclude": ["agee"]}, None, "did you mean 'age'"),
    ({}, {"pay": ["low"] * 8}, "one value only"),
    ({}, {"pay": ["low", None] * 4}, "no label in 4 rows"),
    ({"positive": "hig"}, None, "did you mean 'high'"),
    ({"positive": None}, None, "nothing says which is the positive class"),
    ({"positive": None, "classes": ["low", "mid"]}, None, "data.classes does not list"),
    ({}, {"sex": ["F", "M", None, "M"] * 2}, "no value in 2 rows"),
    ({}, {"age": [1.0, float("nan")] * 4}, "feature 'age' is NaN, empty or infinite"),
    ({}, {"age": [1.0, float("inf")] * 4}, "feature 'age' is NaN, empty or infinite"),
    ({}, {"age": [1.0, 1e300] * 4}, "infinite"),
    ({"split": {"column": "part", "train": ["trian"], "audit": ["test"]}}, None, "never is 'trian'"),
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
        load(config, base=tmp_path, seed=0, roles=["train", "audit"])


@pytest.mark.parametrize("name", ["people.parquet", "people.csv", "people.npz"])
@pytest.mark.parametrize("content", [b"", b"\x00garbage\xff" * 20, None])
def test_a_corrupt_empty_or_truncated_file_is_refused(tmp_path, name, content):
    write(tmp_path, COLUMNS, name)
    path = tmp_path / name
    if content is None and name != "people.csv":
        content = path.read_bytes()[:-40]
    path.write_bytes(content or b"")
    with pytest.raises(DataError, match=r"cannot be read|no column|no rows"):
        load(DataConfig.model_validate(BASE | {"source": name}), base=tmp_path, seed=0, roles=["audit"])


def test_npz_with_objects_is_refused_and_not_unpickled(tmp_path):
    np.savez(tmp_path / "people.npz", pay=np.array([{"a": 1}], dtype=object), sex=np.array(["F"]))
    config = DataConfig(source="people.npz", label="pay", positive="x", sensitive=("sex",))
    with pytest.raises(DataError, match="pickled Python objects, which are never loaded"):
        load(config, base=tmp_path, seed=0, roles=["audit"])


def test_a_subject_on_both_sides_of_a_given_split_is_refused(tmp_path):
    columns = COLUMNS | {"who": ["p1", "p2", "p3", "p4", "p4", "p5", "p6", "p7"]}
    write(tmp_path, columns)
    config = DataConfig.model_validate(BASE | {"subject": "who"})
    with pytest.raises(DataError, match=r"audit split, for example 'p4'"):
        load(config, base=tmp_path, seed=0, roles=["audit"])


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


def test_joint_groups_are_named_in_one_order_whatever_the_coding():
    sex = Categories(("M", "F"), np.array([0, 1, 0], dtype=np.int32))
    age = Categories(("young", "old"), np.array([0, 1, 1], dtype=np.int32))
    index, names = joint_groups({"sex": sex, "age": age}, ("sex", "age"))
    assert names == ("F*old", "M*old", "M*young")
    assert index.tolist() == [2, 0, 1]
