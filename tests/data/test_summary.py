import numpy as np
import pytest

from edgefair.data.dataset import DataSet
from edgefair.data.files.table import Categories, Table
from edgefair.data.rows import TableRows
from edgefair.data.survey.columns import facts_of, facts_over
from edgefair.data.survey.telling import tells_label
from edgefair.errors import DataError
from edgefair.report.results.data import cells, describe


def rows(sex, age, label):
    sensitive = {"sex": Categories.of(sex), "age": Categories.of(age)}
    table = Table({"x": np.arange(float(len(label))), **sensitive})
    label = np.array(label)
    return TableRows(table, ("x",), label, sensitive, None, None, ("x", "sex", "age"))


ROWS_OF_SPLITS = [np.array([0, 2]), np.array([1, 3])]
PEOPLE = rows(["M", "F", "F", "M", "F"], ["old", "old", "young", "old", "old"], [1, 0, 1, 0, 0])


def test_cells_count_the_rows_of_every_group_with_every_label():
    found = cells(PEOPLE, ("sex",), classes=("no", "yes"))
    assert found.groups == ("F", "M")
    assert found.counts.tolist() == [[2, 1], [1, 1]]
    assert found.base_rates == pytest.approx(np.array([[2 / 3, 1 / 3], [1 / 2, 1 / 2]]))


def test_cells_of_an_intersection_list_the_groups_that_have_rows_and_lose_none():
    found = cells(PEOPLE, ("sex", "age"), classes=("no", "maybe", "yes"))
    assert found.groups == ("F*old", "F*young", "M*old")
    assert found.counts.tolist() == [[2, 0, 0], [0, 1, 0], [1, 1, 0]]


def test_an_attribute_that_the_data_does_not_have_is_refused_by_name():
    with pytest.raises(DataError, match=r"'sexx' is not a sensitive attribute of this data \(did you mean 'sex'\?\)"):
        cells(PEOPLE, ("sexx",), classes=("no", "yes"))
    with pytest.raises(DataError, match="no sensitive attribute is given"):
        cells(PEOPLE, (), classes=("no", "yes"))


def test_a_summary_has_the_cells_of_every_attribute_in_every_split():
    train = PEOPLE.take(np.array([0, 1, 2]))
    summary = describe(DataSet("mine.csv", ("x",), ("no", "yes"), {"train": train, "audit": PEOPLE}))
    assert summary.rows == {"train": 3, "audit": 5}
    assert [cell.attributes for cell in summary.cells["audit"]] == [("sex",), ("age",)]
    assert all(cell.counts.sum() == summary.rows[role] for role, parts in summary.cells.items() for cell in parts)


def test_features_are_told_by_kind_missing_values_and_different_values():
    n = 60
    table = {
        "amount": np.array([1.5, np.nan, *range(n - 2)]),
        "counter": np.arange(7, 7 + n),
        "job": Categories.of(["cook", None] * (n // 2)),
        "married": Categories.of([True, False] * (n // 2)),
        "name": Categories.of([f"person {row}" for row in range(n)]),
        "born": Categories.of([f"1990-01-{row % 28 + 1:02}" for row in range(n)]),
        "same": Categories.of(["x"] * n),
        "signal": np.zeros((n, 4)),
    }
    found = {name: facts_of(name, column) for name, column in table.items()}
    assert {name: (item.kind, item.missing, item.distinct) for name, item in found.items()} == {
        "amount": ("numbers", 1, n - 1),
        "counter": ("numbers", 0, n),
        "job": ("text", n // 2, 1),
        "married": ("true or false", 0, 2),
        "name": ("text", 0, n),
        "born": ("dates", 0, 28),
        "same": ("text", 0, 1),
        "signal": ("arrays", 0, None),
    }
    assert {name for name, item in found.items() if item.names_rows} == {"counter", "name"}
    assert {name for name, item in found.items() if item.constant} == {"same"}
    assert all(item.remark for name, item in found.items() if name in {"counter", "name", "born", "same"})


def test_a_feature_is_looked_at_over_all_splits():
    for column in (Categories.of(["a", "b", None, "c"]), np.array([1.0, 2.0, np.nan, 3.0])):
        parts = [column[rows] if isinstance(column, np.ndarray) else column.take(rows) for rows in ROWS_OF_SPLITS]
        assert facts_over("x", parts) == facts_of("x", column)


def test_a_column_that_is_written_down_after_the_outcome_tells_the_label_and_a_good_feature_does_not():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 2000)
    charge = Categories.of([("F" if row % 3 else "M") if known else None for row, known in enumerate(label)])
    days = np.where(label == 1, rng.normal(size=2000), np.nan)
    assert tells_label(charge, label, 2) == 1.0
    assert tells_label(days, label, 2) == 1.0
    assert tells_label(label + rng.normal(size=2000), label, 2) == pytest.approx(0.69, abs=0.04)
    # A value of one row is always right, and says nothing.
    assert tells_label(Categories.of([str(row) for row in range(2000)]), label, 2) == pytest.approx(0.5, abs=0.01)
    found = facts_over("charge", [charge.take(np.arange(900)), charge.take(np.arange(900, 2000))], label, 2)
    assert found.remark.startswith("predicts the label by itself (balanced accuracy 1.00)")
