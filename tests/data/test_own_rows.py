"""Rows of one's own are read without labels, and said to be unlike the training rows where they are."""

import numpy as np
import pytest
from PIL import Image

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.data.own_rows import check_unjudged, feature_rows, unlike_training
from edgefair.errors import DataError

ROWS = 200


def config(**changes):
    return DataConfig(source="all.npz", label="y", positive="yes", sensitive=("sex",), **changes)


def base(rows=ROWS):
    rng = np.random.default_rng(0)
    return {
        "age": rng.uniform(20, 60, rows),
        "job": rng.choice(["clerk", "nurse"], rows),
        "code": rng.integers(1, 4, rows).astype(str),
        "wave": rng.normal(size=(rows, 16)).astype(np.float32),
        "sex": np.array(["F", "M"])[np.arange(rows) % 2],
        "y": np.array(["no", "yes"])[np.arange(rows) // 2 % 2],
    }


def project(folder, **changes):
    np.savez(folder / "all.npz", **base())
    settings = config(**changes)
    return settings, load(settings, base=folder, roles=("train", "audit"))


def own(folder, **changes):
    """Twenty rows without label and group, in `mine.npz`."""
    rows = {name: column[:20] for name, column in base(20).items() if name not in {"sex", "y"}}
    np.savez(folder / "mine.npz", **{**rows, **changes})


def test_features_are_read_as_those_of_the_data_and_nothing_else_is_needed(tmp_path):
    settings, data = project(tmp_path)
    own(tmp_path, extra=np.arange(20))
    rows = feature_rows(settings, data, "mine.npz", base=tmp_path)
    assert (len(rows), rows.features) == (20, data.features)
    assert rows.table.columns["age"].dtype == np.float32
    assert rows.table.columns["job"].present == ("clerk", "nurse")
    assert unlike_training(rows, data.train, seed=0) == ()


def test_a_csv_of_codes_that_look_like_numbers_is_read_as_the_training_rows_are(tmp_path):
    settings, data = project(tmp_path, exclude=("wave",))
    (tmp_path / "mine.csv").write_text("code,age,job\n" + "".join(f"2,{age},nurse\n" for age in range(25, 45)))
    rows = feature_rows(settings, data, "mine.csv", base=tmp_path)
    assert rows.table.columns["code"].present == ("2",)
    assert unlike_training(rows, data.train, seed=0) == ()


def test_each_feature_that_leaves_the_training_rows_is_named_with_the_share_of_rows(tmp_path):
    settings, data = project(tmp_path)
    age = np.r_[np.full(15, 30.0), np.full(5, 95.0)]
    job = np.r_[np.full(17, "nurse"), np.full(3, "pilot")]
    own(tmp_path, age=age, job=job, wave=base(20)["wave"] + 7)
    found = unlike_training(feature_rows(settings, data, "mine.npz", base=tmp_path), data.train, seed=0)
    assert len(found) == 3
    assert "'age' is outside" in found[0]
    assert "25.0%" in found[0]
    assert "15.0% of the rows have values of 'job'" in found[1]
    assert "'pilot'" in found[1]
    assert "the mean of 'wave'" in found[2]
    assert "100.0%" in found[2]


def test_pictures_that_are_darker_than_all_training_pictures_are_said_to_be(tmp_path):
    rng = np.random.default_rng(0)
    lines, mine = ["picture,sex,y"], ["picture"]
    for row in range(60):
        scale = 0.2 if row >= 40 else 1.0
        pixels = (rng.integers(100, 200, (8, 8, 3)) * scale).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
        if row < 40:
            lines.append(f"{row}.png,{'FM'[row % 2]},{('no', 'yes')[row // 2 % 2]}")
        else:
            mine.append(f"{row}.png")
    (tmp_path / "all.csv").write_text("\n".join(lines))
    (tmp_path / "mine.csv").write_text("\n".join(mine))
    settings = DataConfig(source="all.csv", label="y", positive="yes", sensitive=("sex",), picture="picture")
    data = load(settings, base=tmp_path, roles=("train",))
    rows = feature_rows(settings, data, "mine.csv", base=tmp_path)
    found = unlike_training(rows, data.train, seed=0)
    assert "the mean of 'picture'" in found[0]
    assert "100.0%" in found[0]


def test_what_the_model_cannot_take_is_refused(tmp_path):
    settings, data = project(tmp_path)
    own(tmp_path, age=np.full(20, "old"))
    with pytest.raises(DataError, match="feature 'age' holds text, as 'old'"):
        feature_rows(settings, data, "mine.npz", base=tmp_path)
    own(tmp_path, age=np.arange(20) > 9)
    with pytest.raises(DataError, match="feature 'age' holds booleans") as error:
        feature_rows(settings, data, "mine.npz", base=tmp_path)
    assert (error.value.expected, error.value.fix) == (
        "numbers, as in the training rows",
        "write numbers; a boolean counts as 1 or 0",
    )
    own(tmp_path, wave=np.zeros((20, 4), np.float32))
    with pytest.raises(DataError, match=r"arrays of \(4,\)"):
        feature_rows(settings, data, "mine.npz", base=tmp_path)
    own(tmp_path, age=np.full(20, np.nan))
    with pytest.raises(DataError, match="'age' is NaN"):
        feature_rows(settings, data, "mine.npz", base=tmp_path)
    np.savez(tmp_path / "mine.npz", age=np.zeros(20))
    with pytest.raises(DataError, match=r"'mine\.npz' has no column 'job'") as error:
        feature_rows(settings, data, "mine.npz", base=tmp_path)
    assert error.value.expected == "a column for every feature: age, job, code, wave"
    merging = config(merge={"job": {"any": ("clerk", "nurse")}})
    with pytest.raises(DataError, match=r"data\.merge changes the feature 'job'"):
        feature_rows(merging, data, "mine.npz", base=tmp_path)


def holding(folder, rows):
    """A file of the data's rows at these positions."""
    np.savez(folder / "mine.npz", **{name: column[rows] for name, column in base().items() if name not in {"sex", "y"}})


def checked(folder, settings, data):
    return check_unjudged(feature_rows(settings, data, "mine.npz", base=folder), data.audit, "mine.npz")


def positions(data, role):
    return np.flatnonzero(np.isin(base()["age"].astype(np.float32), data.splits[role].table.columns["age"]))


def test_audit_rows_are_refused_and_training_rows_are_not(tmp_path):
    settings, data = project(tmp_path)
    holding(tmp_path, positions(data, "train"))
    assert checked(tmp_path, settings, data) == ()
    audited = positions(data, "audit")
    holding(tmp_path, np.concatenate([positions(data, "train"), audited[:20]]))
    with pytest.raises(DataError, match=rf"holds audit rows: 20 of {len(audited)} equal a row of it"):
        checked(tmp_path, settings, data)


def people(folder, *, alike):
    """A project whose rows are `alike` kinds of people."""
    rng = np.random.default_rng(1)
    rows = {
        "age": rng.integers(0, alike, 3000),
        "sex": rng.choice(["F", "M"], 3000),
        "y": rng.choice(["no", "yes"], 3000),
    }
    np.savez(folder / "all.npz", **rows)
    settings = config(equal_rows="people")
    return settings, load(settings, base=folder, roles=("train", "audit"))


def test_people_who_are_alike_by_chance_are_told_and_not_refused(tmp_path):
    settings, data = people(tmp_path, alike=1500)
    np.savez(tmp_path / "mine.npz", age=np.random.default_rng(2).integers(0, 1500, 1000))
    (note,) = checked(tmp_path, settings, data)
    assert "audit rows equal one of them in every feature, as expected by chance" in note
    np.savez(tmp_path / "mine.npz", age=data.audit.table.columns["age"])
    with pytest.raises(DataError, match="holds audit rows"):
        checked(tmp_path, settings, data)


def test_one_equal_picture_is_an_audit_row(tmp_path):
    rng = np.random.default_rng(0)
    faces = rng.random((80, 4, 4)).astype(np.float32)
    sex, label = np.array(["F", "M"])[np.arange(80) % 2], np.array(["no", "yes"])[np.arange(80) // 2 % 2]
    np.savez(tmp_path / "all.npz", face=faces, sex=sex, y=label)
    data = load(config(), base=tmp_path, roles=("train", "audit"))
    np.savez(tmp_path / "mine.npz", face=rng.random((30, 4, 4)).astype(np.float32))
    assert checked(tmp_path, config(), data) == ()
    np.savez(
        tmp_path / "mine.npz", face=np.append(rng.random((29, 4, 4)), data.audit.table.columns["face"][:1], axis=0)
    )
    with pytest.raises(DataError, match="holds audit rows: 1 of"):
        checked(tmp_path, config(), data)


def test_rows_that_are_all_alike_are_told_where_training_rows_are_not(tmp_path):
    settings, data = project(tmp_path, exclude=("wave",))
    (tmp_path / "mine.csv").write_text("code,age,job\n" + "2,30,nurse\n" * 200)
    (found,) = unlike_training(feature_rows(settings, data, "mine.csv", base=tmp_path), data.train, seed=0)
    assert found.startswith("only 1 different among 200")
    settings, data = people(tmp_path, alike=3)
    np.savez(tmp_path / "mine.npz", age=np.arange(60) % 3)
    assert unlike_training(feature_rows(settings, data, "mine.npz", base=tmp_path), data.train, seed=0) == ()
