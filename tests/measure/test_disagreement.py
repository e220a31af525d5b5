import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from edgefair.data.files.table import MISSING, Categories
from edgefair.measure.disagreement import disagreements, more_than_by_chance


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


@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 60), st.integers(1, 400))
def test_the_test_of_a_group_is_fishers(differing, rows, others_differing, others):
    differing, others_differing = min(differing, rows), min(others_differing, others)
    table = [[differing, rows - differing], [others_differing, others - others_differing]]
    found = more_than_by_chance(differing, rows, differing + others_differing, rows + others)
    assert found == pytest.approx(fisher_exact(table, alternative="greater").pvalue, abs=1e-9)


def test_a_group_that_alone_is_hit_is_named_and_one_that_is_hit_like_all_is_not():
    group = np.repeat([0, 1], [3600, 400])
    one = np.zeros(4000, dtype=np.int64)
    minority, everybody = one.copy(), one.copy()
    minority[3600:3675] = 1
    everybody[::50] = 1
    hit, alike, _ = disagreements({"host": one, "npu": minority, "gpu": everybody}, {"skin": column(group, ("a", "b"))})
    assert hit.most.group == "b"
    assert hit.most.p_holm < 1e-60
    assert all(item.p_holm > 0.5 for item in alike.groups)


def test_rows_that_are_alike_are_counted_and_not_tested():
    decisions = {"x": np.array([0, 0, 1]), "y": np.array([0, 1, 1])}
    (pair,) = disagreements(decisions, {"g": column([0, 1, 1])}, tested=False)
    assert {item.p_holm for item in pair.groups} == {None}
    assert pair.most.group == "b"


@pytest.mark.parametrize("pairs", [1, 3])
def test_devices_that_differ_by_chance_name_a_group_as_rarely_as_they_say(pairs):
    rng, named = np.random.default_rng(2), 0
    group = column(rng.integers(0, 3, 600))
    for _ in range(300):
        decisions = {str(device): (rng.random(600) < 0.1).astype(np.int64) for device in range(pairs + 1)}
        found = disagreements(decisions, {"g": group})
        named += any(item.p_holm <= 0.05 for pair in found for item in pair.groups)
    assert named / 300 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
