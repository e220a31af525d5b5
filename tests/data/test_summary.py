import numpy as np
import pytest

from edgefair.data.dataset import DataSet
from edgefair.data.rows import TableRows
from edgefair.data.summary import cells, describe
from edgefair.data.table import Categories, Table
from edgefair.errors import DataError


def rows(sex, age, label):
    sensitive = {"sex": Categories.of(sex), "age": Categories.of(age)}
    table = Table({"x": np.arange(float(len(label))), **sensitive})
    label = np.array(label)
    return TableRows(table, ("x",), label, sensitive, None, None, ("x", "sex", "age"))


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
    with pytest.raises(DataError, match=r"'sexx' is no sensitive attribute of this data \(did you mean 'sex'\?\)"):
        cells(PEOPLE, ("sexx",), classes=("no", "yes"))
    with pytest.raises(DataError, match="no sensitive attribute is named"):
        cells(PEOPLE, (), classes=("no", "yes"))


def test_a_summary_has_the_cells_of_every_attribute_in_every_split():
    train = PEOPLE.take(np.array([0, 1, 2]))
    summary = describe(DataSet("mine.csv", ("x",), ("no", "yes"), {"train": train, "audit": PEOPLE}))
    assert summary.rows == {"train": 3, "audit": 5}
    assert [cell.attributes for cell in summary.cells["audit"]] == [("sex",), ("age",)]
    assert all(cell.counts.sum() == summary.rows[role] for role, parts in summary.cells.items() for cell in parts)
