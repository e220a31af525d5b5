import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.compress.recipe import CalibrationRecipe, calibration_rows, open_recipe
from edgefair.errors import DataError, UsageError
from edgefair.resources import shipped_names


def recipe(**changes):
    return CalibrationRecipe(name="test", **changes)


@given(st.integers(1, 400), st.integers(0, 100))
def test_every_cell_gives_the_same_number_of_rows_or_all_it_has(rows, seed):
    rng = np.random.default_rng(seed)
    group = np.concatenate([[0, 0, 1, 1], rng.integers(0, 2, 300)])
    label = np.concatenate([[0, 1, 0, 1], (rng.random(300) < 0.1).astype(int)])
    chosen = calibration_rows(recipe(rows=rows), group=group, label=label, groups=2, seed=seed)
    assert len(set(chosen.tolist())) == len(chosen)
    for cell in range(4):
        members = np.flatnonzero(group * 2 + label == cell)
        assert np.isin(members, chosen).sum() == min(len(members), max(1, rows // 4))


def test_the_same_seed_chooses_the_same_rows_and_another_seed_others():
    group, label = np.arange(1000) % 2, np.arange(1000) // 2 % 2
    first, again, other = (
        calibration_rows(recipe(rows=40), group=group, label=label, groups=2, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_declared_cell_without_a_training_row_is_refused():
    with pytest.raises(DataError, match="group 1, label 1"):
        calibration_rows(recipe(), group=np.array([0, 0, 1]), label=np.array([0, 1, 0]), groups=2, seed=0)
    with pytest.raises(DataError, match="group 2"):
        calibration_rows(
            recipe(balance="group"), group=np.array([0, 0, 1]), label=np.array([0, 1, 0]), groups=3, seed=0
        )


def test_without_balance_rows_come_as_they_are():
    chosen = calibration_rows(
        recipe(rows=10, balance="none"), group=np.zeros(500, int), label=np.zeros(500, int), groups=2, seed=0
    )
    assert len(chosen) == 10


@pytest.mark.parametrize("name", shipped_names("calibration"))
def test_every_shipped_recipe_opens_under_its_own_name(name):
    assert open_recipe(name).name == name


def test_an_unknown_or_broken_recipe_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'int8-balanced'"):
        open_recipe("int8-balance")
    (tmp_path / "mine.yaml").write_text("name: mine\nrowz: 3\n")
    with pytest.raises(UsageError, match="rowz"):
        open_recipe(str(tmp_path / "mine.yaml"))
    with pytest.raises(UsageError, match=r"absent\.yaml"):
        open_recipe(str(tmp_path / "absent.yaml"))
