"""Many groups and many classes are at most a screen, the ones that decide among them."""

import io

import numpy as np
import pytest

from edgefair.report.formats.base import Item
from edgefair.report.results.data import Cells
from edgefair.report.results.plan import AttributePlan, CellPlan, GapPlan, Plan
from edgefair.report.terminal.console import console_on
from edgefair.report.terminal.data import _table
from tests.report.golden_results import document, report_of, results, tables

SCREEN = 44
GROUPS = [f"group {index}" for index in range(40)]


def many(groups, classes):
    """Of many groups and classes the last group misses the last class."""
    table = np.stack([np.eye(classes, dtype=np.int64) * 900 + 10] * groups)
    table[-1, -1, -1] -= 500
    table[-1, -1, 0] += 500
    names = [f"class {index}" for index in range(classes)]
    return report_of(table, groups=[f"group {index}" for index in range(groups)], classes=names)


@pytest.mark.parametrize("groups", [2, 12, 40, 100])
@pytest.mark.parametrize("classes", [2, 4, 10])
def test_a_report_is_at_most_a_screen_and_names_the_group_that_decides(groups, classes):
    report = many(groups, classes)
    lines = document("terminal", Item(report)).splitlines()
    assert len(lines) <= SCREEN
    binding = report.targets[0].verdict.gates[0].binding
    for group in (binding.group_a, binding.group_b):
        assert any(line.startswith(f" {group} ") for line in lines), group
    shown = sum(line.startswith(" group ") and not line.startswith(" group  ") for line in lines)
    assert shown == groups or any(f"{groups - shown:,} groups that differ less" in line for line in lines)


def test_the_group_that_decides_is_shown_wherever_it_stands():
    for place in (0, 7, 39):
        table = tables(*[(1600, 2000, 200, 2000)] * 40)
        table[place, 1] = [1000, 1000]
        text = document("terminal", Item(report_of(table, groups=GROUPS)))
        assert f"\n group {place} " in text


@pytest.mark.parametrize(
    ("columns", "width"), [("60", 60), ("200", 200), ("1", 40), ("0", 120), ("", 120), ("x", 120), ("²", 120)]
)
def test_a_pipe_is_as_wide_as_columns_says(columns, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert console_on(io.StringIO()).width == width
    assert max(map(len, document("terminal", Item(results()["fail"])).splitlines())) <= width


def test_a_plan_of_many_groups_and_labels_shows_the_smallest_cells():
    cells = tuple(CellPlan(group, tuple(range(100 + index, 110 + index))) for index, group in enumerate(GROUPS))
    lacking = tuple(f"cell {index} has too few" for index in range(400))
    plan = AttributePlan("sex", 0.05, 52, cells, lacking, None, None)
    labels = tuple(f"label {index}" for index in range(10))
    text = document("terminal", Item(planned(labels, plan)))
    assert len(text.splitlines()) <= SCREEN
    assert "group 0 " in text
    assert "label 0: 100, label 1: 101, label 2: 102" in text
    assert "and 28 groups without smaller cells" in text
    assert "and 388 more cells" in text


def planned(labels, attribute):
    power = (GapPlan(0.0, 0.0, 0.01, None, None),)
    worse = ("sex", "group 0")
    return Plan("people.csv", 9, "rows", labels, 0.8, 0.1, 0.01, None, 0.05, worse, (attribute,), (), power, 400)


def test_a_table_of_many_labels_keeps_the_names_of_groups():
    cells = Cells(("sex",), ("Female", "Male"), tuple(map(str, range(40))), np.arange(80).reshape(2, 40))
    stream = io.StringIO()
    console_on(stream).print(_table(cells))
    assert "Female" in stream.getvalue()
    assert "0: 0, 1: 1, 2: 2" in stream.getvalue()
