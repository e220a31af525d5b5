"""Nobody's name becomes a feature or ships in a spec because nobody has looked at the column."""

import numpy as np
import pandas
import pytest

from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.errors import DataError
from edgefair.training.features import rare_values, spec_for
from edgefair.training.settings import ModelConfig

ROWS = 1000


def people(folder, **more):
    rng = np.random.default_rng(0)
    columns = {
        "age": rng.integers(20, 60, ROWS),
        "job": rng.choice(["a", "b", "c"], ROWS),
        "sex": rng.choice(["F", "M"], ROWS),
        "hired": rng.choice(["no", "yes"], ROWS),
        **more,
    }
    pandas.DataFrame(columns).to_csv(folder / "people.csv", index=False)


def loaded(folder, **changes):
    config = {"source": "people.csv", "label": "hired", "positive": "yes", "sensitive": ["sex"], "equal_rows": "people"}
    return load(DataConfig.model_validate(config | changes), base=folder, roles=("train", "validation", "audit"))


NAMES = [f"Ada {row % 980}" for row in range(ROWS)]
SOME_NUMBERS = np.random.default_rng(0).choice(10**7, ROWS, replace=False)
DAYS = [f"2020-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(ROWS)]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (NAMES, "column 'who' has 980 different values in 1,000 rows"),
        (DAYS, "column 'who' holds dates, as '2020-"),
        ([day.replace("-", "/") + " 10:30" for day in DAYS], "column 'who' holds dates"),
        (["NL"] * ROWS, "column 'who' is 'NL' in every row"),
    ],
)
def test_a_column_that_nobody_named_and_that_says_nothing_of_people_is_refused(tmp_path, column, said):
    people(tmp_path, who=column)
    with pytest.raises(DataError, match=said) as error:
        loaded(tmp_path)
    assert "data.exclude" in error.value.fix
    assert "data.features" in error.value.fix
    assert loaded(tmp_path, exclude=["who"]).features == ("age", "job")
    assert "who" in loaded(tmp_path, features=["age", "who"]).features


@pytest.mark.parametrize(
    ("name", "column", "said"),
    [
        ("row", np.arange(5, 5 + ROWS), "column 'row' looks like a row's id: it counts from 5 to 1,004"),
        ("nth", np.random.default_rng(0).permutation(2 * ROWS)[:ROWS], "column 'nth' looks like a row's id: it counts"),
        ("PassengerId", SOME_NUMBERS, "'PassengerId' .*: it is called one"),
        ("case_no", [*SOME_NUMBERS[1:], np.nan], "'case_no' .*: it is called one"),
        ("surname", [f"Ada {row % 300}" for row in range(ROWS)], "column 'surname' has 300 different values"),
    ],
)
def test_counters_ids_by_their_name_and_names_that_several_bear_are_no_features(tmp_path, name, column, said):
    people(tmp_path, **{name: column})
    with pytest.raises(DataError, match=said):
        loaded(tmp_path, missing="median")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("income", np.random.default_rng(0).permutation(10**6)[:ROWS]),
        ("seconds", 1_600_000_000 + 60 * np.arange(ROWS)),
        ("children_number", np.random.default_rng(0).integers(0, 6, ROWS)),
        ("share", np.arange(ROWS) / 7),
        ("town", [f"town {row % 100}" for row in range(ROWS)]),
    ],
)
def test_a_quantity_is_no_id_because_it_is_unique(tmp_path, name, column):
    people(tmp_path, **{name: column})
    assert name in loaded(tmp_path).features


def test_all_of_them_are_named_at_once(tmp_path):
    people(tmp_path, who=NAMES, day=DAYS)
    with pytest.raises(DataError, match=r"column 'who' has .*; column 'day' holds dates"):
        loaded(tmp_path)


def test_names_that_were_asked_for_ship_in_no_spec_all_the_same(tmp_path):
    people(tmp_path, who=NAMES)
    with pytest.raises(DataError, match="of them in 5 rows or more"):
        spec_for(loaded(tmp_path, features=["who", "job"]), ModelConfig())


def test_values_of_few_training_rows_are_coded_as_unseen_and_said(tmp_path):
    people(tmp_path, town=[*["Rome", "Bonn"] * (ROWS // 2 - 2), "Oslo", "Riga", "Oslo", "Riga"])
    data = loaded(tmp_path)
    spec = spec_for(data, ModelConfig())
    town = next(column for item in spec.inputs for column in item.columns if column.name == "town")
    assert town.vocabulary == ("Bonn", "Rome")
    (note,) = rare_values(spec, data.train)
    assert "'town'" in note
    assert "fewer than 5 training rows are coded as unseen" in note
