"""Everything that stands in the way of a file is told at once, with what to do about it, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

from edgefair.data.files.table import Categories
from edgefair.workflow.raw_data.obstacles import MOST_GROUPS, ObstaclesError, RawTable, check_table, role_of

ROWS = 200
SECTION = {"source": "p.csv", "label": "hired", "positive": "yes", "sensitive": ["sex"]}


def columns_of():
    rng = np.random.default_rng(0)
    return {
        "age": rng.integers(18, 80, ROWS).astype(np.float64),
        "pay": rng.normal(size=ROWS),
        "sex": Categories.of(rng.choice(["F", "M"], ROWS).tolist()),
        "hired": Categories.of(rng.choice(["no", "yes"], ROWS).tolist()),
    }


def table_of(**changes):
    columns = columns_of() | changes
    return RawTable(Path("p.csv"), tuple(columns), columns, {})


def told(table, section=SECTION):
    with pytest.raises(ObstaclesError) as caught:
        check_table(table, section)
    found, *listed = caught.value.lines
    if caught.value.fix:
        listed.pop()
    assert f": {len(listed)} thing" in found
    return [line.strip() for line in listed]


def with_gaps(column):
    codes = column.codes.copy()
    codes[:3] = -1
    return Categories(column.values, codes)


def test_a_file_that_can_be_used_gives_the_facts_of_its_features():
    assert [facts.name for facts in check_table(table_of(), SECTION)] == ["age", "pay"]


# A column of the table, changed, and what must be said of it.
SAME = Categories.of(["a"] * ROWS)
ALONE = {
    "constant": ({"town": SAME}, "'town' has the same value in every row"),
    "infinite": ({"pay": np.where(np.arange(ROWS) < 2, np.inf, 1.0)}, "'pay' is infinite in 2 of 200 rows"),
    "names": ({"name": Categories.of([f"Person {row}" for row in range(ROWS)])}, "it identifies rows"),
    "empty label": ({"hired": with_gaps(columns_of()["hired"])}, "label 'hired' is empty in 3 rows"),
    "one label": ({"hired": Categories.of(["yes"] * ROWS)}, "label 'hired' has only one value: yes"),
    "empty group": ({"sex": with_gaps(columns_of()["sex"])}, "sensitive 'sex' is empty in 3 rows"),
    "one group": ({"sex": SAME}, "sensitive 'sex' has only one value: a; there is no group to compare it with"),
    "fractions": ({"sex": np.linspace(0, 1, ROWS)}, "sensitive 'sex' holds fractions"),
    "many groups": (
        {"sex": Categories.of([str(row % (MOST_GROUPS + 1)) for row in range(ROWS)])},
        "more than 20 groups: bin it: --bin sex=5,10,15",
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_each_obstacle_is_told(name):
    change, message = ALONE[name]
    assert any(message in line for line in told(table_of(**change)))


def test_all_obstacles_are_told_at_once_and_what_to_leave_out_is_one_line_to_copy():
    table = table_of(town=SAME, name=ALONE["names"][0]["name"], sex=SAME)
    assert len(told(table)) == 3
    with pytest.raises(ObstaclesError) as caught:
        check_table(table, SECTION)
    assert caught.value.fix == "add --exclude town --exclude name, or fix these columns"


def test_a_column_that_is_not_there_is_told_with_the_nearest_that_is():
    (line,) = told(table_of(), SECTION | {"id": "agee"})
    assert line.startswith("no column 'agee' in 'p.csv' (did you mean 'age'?)")


def test_a_column_that_tells_the_label_is_no_obstacle_by_itself_and_told_beside_others():
    label = columns_of()["hired"]
    leak = {"outcome": label.codes.astype(np.float64)}
    assert "outcome" in [facts.name for facts in check_table(table_of(**leak), SECTION)]
    assert any("'outcome' alone predicts the label" in line for line in told(table_of(**leak, town=SAME)))


def test_repeated_rows_are_asked_about_until_the_answer_is_given():
    rng = np.random.default_rng(1)
    coarse = {"age": rng.integers(0, 2, ROWS).astype(np.float64), "pay": rng.integers(0, 2, ROWS).astype(np.float64)}
    (line,) = told(table_of(**coarse))
    assert "--equal-rows people" in line
    assert check_table(table_of(**coarse), SECTION | {"equal_rows": "people"})


@pytest.mark.parametrize(("values", "usable"), [
    (("train", "test"), True), (("Training", "VAL", "holdout"), True), (("train", "val"), False), (("x", "y"), False),
])  # fmt: skip
def test_a_split_column_speaks_for_itself_or_is_told(values, usable):
    column = {"part": Categories.of([values[row % len(values)] for row in range(ROWS)])}
    section = SECTION | {"split": {"column": "part"}}
    assert (None not in map(role_of, values) and "audit" in map(role_of, values)) == usable
    if usable:
        assert check_table(table_of(**column), section)
    else:
        assert "split 'part' is" in told(table_of(**column), section)[0]
