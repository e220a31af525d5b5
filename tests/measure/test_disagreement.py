import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgefair.data.files.table import MISSING, Categories
from edgefair.measure.disagreement import disagreements


def column(codes, values=("a", "b", "c")):
    return Categories(values, np.array(codes, dtype=np.int32))


def test_rows_that_two_devices_decide_differently_are_counted_by_group():
    one, other = np.array([0, 0, 1, 1, 0]), np.array([0, 1, 1, 0, 1])
    (pair,) = disagreements({"pi": one, "board": other}, {"sex": column([0, 0, 1, 1, MISSING], ("f", "m"))})
    assert (pair.first, pair.second, pair.rows, pair.differing) == ("pi", "board", 5, 3)
    assert [(item.group, item.rows, item.differing) for item in pair.groups] == [("f", 2, 1), ("m", 2, 1)]
    assert pair.groups[0].share == 0.5


def test_one_device_disagrees_with_nobody_and_three_make_three_pairs():
    decisions = {name: np.zeros(3, dtype=np.int64) for name in "xyz"}
    assert disagreements({"x": decisions["x"]}, {"sex": column([0, 1, 2])}) == ()
    assert [(pair.first, pair.second) for pair in disagreements(decisions, {})] == [("x", "y"), ("x", "z"), ("y", "z")]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=50))
def test_the_groups_of_an_attribute_without_gaps_add_up_to_all_rows(rows):
    groups, one, other = (np.array(part) for part in zip(*rows, strict=True))
    (pair,) = disagreements({"x": one, "y": other}, {"g": column(groups)})
    assert sum(item.rows for item in pair.groups) == pair.rows
    assert sum(item.differing for item in pair.groups) == pair.differing == (one != other).sum()
