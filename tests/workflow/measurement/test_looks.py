"""Which rows come first in a sequential measurement: the same share of every cell, whatever the order of the file."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from edgefair.data.files.table import Categories, Table
from edgefair.data.rows import TableRows
from edgefair.decision.policy import Policy
from edgefair.measure.sequential.levels import LOOKS
from edgefair.measure.sequential.looks import units_at
from edgefair.workflow.measurement.sequential.looks import plan_looks

POLICY = Policy(attributes={"sex": {"groups": ["f", "m"]}, "age": {"groups": ["o", "y"]}, "sex*age": {}})


def config(seed=0, **rules):
    return SimpleNamespace(seed=seed, policy=POLICY.model_copy(update=rules))


def rows_of(n, seed=0, subjects=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    sex, age = (Categories(v, (rng.random(n) < p).astype(np.int32)) for v, p in (("fm", 0.3), ("oy", 0.02)))
    label = rng.integers(0, 2, n)
    columns = {"x": x, "sex": sex, "age": age, "label": label.astype(np.float64)}
    who = None
    if subjects is not None:
        names = tuple(f"p{number}" for number in range(subjects))
        who = Categories(
            names, np.append(np.arange(subjects), rng.integers(0, subjects, n - subjects)).astype(np.int32)
        )
    sensitive = {"sex": sex, "age": age}
    return TableRows(Table(columns), ("x",), label, sensitive, None, who, ("x", "sex", "age", "label"))


def test_every_look_has_the_same_share_of_every_cell_to_a_row():
    rows = rows_of(5003)
    plan = plan_looks(rows, config())
    assert [look.rows for look in plan.looks] == [units_at(number, 5003) for number in range(1, LOOKS + 1)]
    assert sorted(plan.order) == list(range(5003))
    cell = rows.label + 2 * rows.sensitive["sex"].codes + 4 * rows.sensitive["age"].codes
    size = np.bincount(cell)
    assert size.min() < 30
    for look in plan.looks:
        has = np.bincount(cell[plan.order[: look.rows]], minlength=len(size))
        assert np.abs(has - size * look.number / LOOKS).max() <= 1.5


def test_the_order_is_the_contents_and_the_seeds_and_not_the_files():
    rows = rows_of(2000)
    shuffled = np.random.default_rng(1).permutation(2000)
    one, other = plan_looks(rows, config()), plan_looks(rows.take(shuffled), config())
    assert np.array_equal(one.order, shuffled[other.order])
    assert not np.array_equal(one.order[:400], plan_looks(rows, config(seed=1)).order[:400])
    assert np.median(np.abs(np.diff(one.order))) > 200


def test_rows_of_equal_content_are_people_who_come_one_by_one():
    """Were they sorted by content alone, the first look would hold the people of one content and no others."""
    rows = rows_of(4000)
    x = np.random.default_rng(2).integers(0, 3, 4000).astype(np.float64)
    rows = dataclasses.replace(rows, table=Table({**rows.table.columns, "x": x}))
    shuffled = np.random.default_rng(1).permutation(4000)
    plan, other = plan_looks(rows, config()), plan_looks(rows.take(shuffled), config())
    assert np.abs(np.bincount(x[plan.order[:800]].astype(int)) / 800 - np.bincount(x.astype(int)) / 4000).max() < 0.05
    assert np.array_equal(x[plan.order], x[shuffled][other.order])


def test_cells_of_one_row_are_spread_over_all_looks():
    """Of a thousand cells with one row each, every look has its share, or those of a group would come all at once."""
    values = tuple(f"v{number}" for number in range(1000))
    column = Categories(values, np.arange(1000, dtype=np.int32))
    label = np.zeros(1000, dtype=np.int64)
    rows = TableRows(Table({"a": column}), ("a",), label, {"a": column}, None, None, ("a",))
    plan = plan_looks(rows, SimpleNamespace(seed=0, policy=Policy(attributes={"a": {"groups": list(values)}})))
    assert np.abs(np.bincount(plan.order[:200] // 250, minlength=4) - 50).max() < 25


def test_subjects_stay_whole_and_every_look_has_its_share_of_them():
    rows = rows_of(4000, subjects=700)
    plan = plan_looks(rows, config())
    who = rows.subject.codes[plan.order]
    assert len(np.unique(who)) == np.count_nonzero(np.diff(who)) + 1
    for look in plan.looks:
        assert look.units == units_at(look.number, 700) == len(np.unique(who[: look.rows]))
    assert plan.looks[-1].rows == 4000
    cell = rows.label + 2 * rows.sensitive["sex"].codes
    half = np.bincount(cell[plan.order[: plan.looks[1].rows]]) / np.bincount(cell)
    assert np.abs(half - 0.4).max() < 0.06


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_few_rows_have_fewer_looks_and_the_last_has_all(n):
    plan = plan_looks(rows_of(n), config())
    assert plan.looks[-1].number == LOOKS
    assert [look.rows for look in plan.looks] == sorted({units_at(number, n) for number in range(1, LOOKS + 1)})


def test_looks_whose_level_nobody_can_tell_from_0_are_not_taken():
    plan = plan_looks(rows_of(100), config(alpha=1e-9))
    assert [look.number for look in plan.looks] == [4, 5]
