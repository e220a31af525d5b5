import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.compress.quantization.recipe import (
    LEAST_ROWS,
    CalibrationRecipe,
    calibration_rows,
    check_calibration,
    open_recipe,
)
from edgefair.errors import DataError, UsageError
from edgefair.resources import shipped_names

# (sex, race, label) of rows: nobody of sex 0, race 1 has label 0, and nobody of sex 1, race 1 has label 1.
JOINT = [(s, r, y) for s in (0, 1) for r in (0, 1) for y in (0, 1) if (s, r, y) not in {(0, 1, 0), (1, 1, 1)}] * 50


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
    with pytest.raises(DataError, match="no training row of group '1' has label '1'"):
        calibration_rows(recipe(), group=np.array([0, 0, 1]), label=np.array([0, 1, 0]), groups=2, seed=0)
    with pytest.raises(DataError, match="group '2'"):
        calibration_rows(
            recipe(balance="group"), group=np.array([0, 0, 1]), label=np.array([0, 1, 0]), groups=3, seed=0
        )


def test_a_joint_cell_that_nobody_judges_may_be_empty_and_one_of_a_judged_attribute_may_not():
    sex, race, label = (np.array(column) for column in zip(*JOINT, strict=True))
    chosen = calibration_rows(
        recipe(rows=60),
        group=sex * 2 + race,
        label=label,
        groups=4,
        seed=0,
        judged=[(sex, ["F", "M"]), (race, ["A", "B"])],
    )
    cell = (sex * 2 + race)[chosen] * 2 + label[chosen]
    assert np.bincount(cell, minlength=8).tolist() == [10, 10, 0, 10, 10, 10, 10, 0]
    gone = (race == 0) | (label == 0)
    with pytest.raises(DataError, match="no training row of group 'B' has label '1'"):
        calibration_rows(
            recipe(rows=60),
            group=(sex * 2 + race)[gone],
            label=label[gone],
            groups=4,
            seed=0,
            judged=[(sex[gone], ["F", "M"]), (race[gone], ["A", "B"])],
        )


def test_without_balance_rows_come_as_they_are():
    chosen = calibration_rows(
        recipe(rows=10, balance="none"), group=np.zeros(500, int), label=np.zeros(500, int), groups=2, seed=0
    )
    assert len(chosen) == 10


def cells(rows=1200):
    return np.arange(rows) % 3, np.arange(rows) // 3 % 2


def test_half_of_group_worst_is_balanced_and_half_from_the_worst_group_of_every_label():
    group, label = cells()
    loss = np.where((group == 2) & (label == 0), 3.0, 1.0) + np.where((group == 1) & (label == 1), 3.0, 0.0)
    chosen = calibration_rows(
        recipe(rows=240, balance="group-worst"), group=group, label=label, groups=3, seed=0, loss=loss
    )
    count = np.bincount(group[chosen] * 2 + label[chosen], minlength=6)
    assert len(set(chosen.tolist())) == len(chosen) == 240
    assert count.tolist() == [20, 20, 20, 80, 80, 20]


def test_the_mean_loss_decides_who_is_worst_and_not_the_number_of_rows():
    group = np.repeat([0, 1], [300, 20])
    label = np.zeros(320, dtype=np.int64)
    loss = np.where(group == 0, 0.9, 1.0)
    chosen = calibration_rows(
        recipe(rows=40, balance="group-worst"), group=group, label=label, groups=2, seed=0, loss=loss
    )
    assert (group[chosen] == 1).sum() == 20


def test_group_worst_without_a_loss_is_refused():
    group, label = cells()
    with pytest.raises(UsageError, match="no loss"):
        calibration_rows(recipe(balance="group-worst"), group=group, label=label, groups=3, seed=0)


def test_too_few_rows_are_refused_and_a_cell_with_few_is_told():
    group, label = cells()
    with pytest.raises(DataError, match=f"chooses {LEAST_ROWS - 1} rows"):
        check_calibration(recipe(), np.arange(LEAST_ROWS - 1), group=group, label=label)
    rare = np.where(np.arange(1200) < 3, group, 0)
    notes = check_calibration(recipe(), np.arange(200), group=rare, label=label)
    assert [note.partition(";")[0] for note in notes] == [
        "calibration: 1 rows of group 1, label 0",
        "calibration: 1 rows of group 2, label 0",
    ]
    assert check_calibration(recipe(), np.arange(200), group=group, label=label) == ()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("name: a\nruntime: tensorrt\n", "need each other"),
        ("name: a\nactivations: int8-symmetric\n", "need each other"),
        ("name: a\npercentile: 99.9\n", "needs `method: percentile`"),
        ("name: a\nmethod: percentile\npercentile: 0\n", "percentile"),
        ("name: a\nweight_bits: 3\n", "weight_bits"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(tmp_path, content, found):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(UsageError, match=found):
        open_recipe(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("name", shipped_names("calibration"))
def test_every_shipped_recipe_opens_under_its_own_name(name):
    assert open_recipe(name).name == name


def test_an_unknown_or_broken_recipe_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'int8-balanced'"):
        open_recipe("int8-balance")
    (tmp_path / "mine.yaml").write_text("name: mine\nrowz: 3\n")
    with pytest.raises(UsageError, match=r"used: rowz: [^\n]*$"):
        open_recipe(str(tmp_path / "mine.yaml"))
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be used"):
        open_recipe(str(tmp_path / "mine.yaml"))
    with pytest.raises(UsageError, match=r"no calibration recipe '.*absent\.yaml'\n"):
        open_recipe(str(tmp_path / "absent.yaml"))


def test_a_file_of_rows_is_the_usual_recipe_with_these_rows(tmp_path):
    (tmp_path / "mine.csv").write_text("a\n1\n")
    found = open_recipe("mine.csv", base=tmp_path)
    assert (found.name, found.source, found.balance) == ("mine", "mine.csv", "none")
    assert found.method == recipe().method
    (tmp_path / "mine.csv").write_text("a\n2\n")
    assert open_recipe("mine.csv", base=tmp_path).source_sha256 != found.source_sha256
    with pytest.raises(UsageError, match=r"no file of calibration rows .*theirs\.npz"):
        open_recipe("theirs.npz", base=tmp_path)
    (tmp_path / "own.yaml").write_text("name: own\nsource: mine.csv\n")
    with pytest.raises(UsageError, match="such rows have no groups"):
        open_recipe("own.yaml", base=tmp_path)
    (tmp_path / "own.yaml").write_text("name: own\nsource: mine.csv\nbalance: none\nmethod: entropy\n")
    assert open_recipe("own.yaml", base=tmp_path).method == "entropy"


def test_rows_of_a_file_have_no_cells_to_warn_of_and_too_few_are_refused():
    nobody = np.zeros(40, dtype=np.int64)
    own = recipe(balance="none", source="mine.csv", rows=20)
    chosen = calibration_rows(own, group=nobody, label=nobody, groups=1, seed=0)
    assert len(chosen) == 20
    assert check_calibration(own, chosen, group=nobody, label=nobody) == ()
    with pytest.raises(DataError) as error:
        check_calibration(own, chosen[:5], group=nobody, label=nobody)
    assert error.value.expected == f"at least {LEAST_ROWS}"
    assert error.value.fix == "raise `rows`, or add rows to 'mine.csv'"
