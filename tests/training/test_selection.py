import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.decision.policy import Policy
from edgefair.measure.counts import GroupCounts
from edgefair.measure.metrics import equalized_odds_difference
from edgefair.training.selection import Standing, aims, shrunk_rates, standing

POLICY = Policy(max_eo_gap=0.1, min_balanced_accuracy=0.6, attributes={"s": {"groups": ["a", "b"]}})


def counts(*groups):
    """Each group as (TN, FP, FN, TP)."""
    table = np.array([[[tn, fp], [fn, tp]] for tn, fp, fn, tp in groups])
    return GroupCounts(("s",), (("a",), ("b",))[: len(groups)], ("no", "yes"), table)


def test_accuracy_decides_among_models_that_keep_gap_and_floor():
    good = standing(counts((900, 100, 100, 900), (890, 110, 110, 890)), POLICY, aim=0.5)
    better = standing(counts((950, 50, 50, 950), (930, 70, 70, 930)), POLICY, aim=0.5)
    assert good.feasible
    assert better.feasible
    assert better.gap > good.gap
    assert better.rank > good.rank


def test_a_collapsed_model_never_wins_by_its_gap_of_zero():
    collapsed = standing(counts((1000, 0, 1000, 0), (1000, 0, 1000, 0)), POLICY, aim=0.5)
    unfair = standing(counts((950, 50, 50, 950), (700, 300, 100, 900)), POLICY, aim=0.5)
    assert collapsed.gap == 0
    assert not collapsed.feasible
    assert unfair.rank > collapsed.rank


def test_gap_and_accuracy_trade_one_for_one_where_no_model_keeps_the_gap():
    wide = Standing(0.9, 0.90, 0.8, 0.25, 0.20, floor_kept=True)
    narrow = Standing(0.9, 0.85, 0.8, 0.12, 0.07, floor_kept=True)
    assert narrow.rank > wide.rank
    assert Standing(0.6, 0.61, 0.6, 0.04, -0.01, floor_kept=True).rank > narrow.rank


@given(st.integers(200, 10_000), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_in_large_cells_the_gap_is_the_equalized_odds_difference(rows, one, other):
    hits = [round(rows * one), round(rows * other)]
    found = counts(*((rows - hit, hit, hit, rows - hit) for hit in hits))
    assert standing(found, POLICY, aim=1.0).gap == pytest.approx(equalized_odds_difference(found), abs=0.05)


def test_a_cell_of_one_row_does_not_decide_and_an_empty_one_is_no_nan():
    one = standing(counts((900, 100, 100, 900), (90, 10, 1, 0)), POLICY, aim=0.5)
    assert one.gap < 0.2, "its rate of 0 is drawn to that of the label"
    empty = standing(counts((900, 100, 100, 900), (90, 10, 0, 0)), POLICY, aim=0.5)
    assert np.isfinite(empty.rank[1])
    missing = shrunk_rates(np.array([[[5, 5], [0, 0]], [[5, 5], [0, 0]]]))
    assert missing.shape == (2, 1, 2), "a label without rows has no rate"
    assert np.isfinite(standing(counts((9, 1, 0, 0), (9, 1, 0, 0)), POLICY, aim=0.5).rank[1])


def test_where_errors_are_declared_gap_and_floor_aim_at_what_recorded_rows_must_keep():
    """A gap of 0.05 and a worst group of 0.875 by what is recorded; the true ones may break the policy."""
    found = counts((9000, 1000, 1000, 9000), (8500, 1500, 1000, 9000))
    told = POLICY.model_validate(
        POLICY.model_dump() | {"min_balanced_accuracy": 0.87, "errors": {"attributes": {"s": 0.04}, "labels": 0.01}}
    )
    blind = told.model_validate(told.model_dump() | {"errors": {}})
    assert standing(found, blind, aim=0.6).feasible
    assert standing(found, told, aim=1.0).excess == pytest.approx(0.05 - (0.1 * (1 - 0.08 - 0.01) - 0.01), abs=1e-3)
    assert standing(found, told, aim=0.6).excess > 0
    assert not standing(found, told, aim=1.0).floor_kept, "at worst 0.96 x 0.87 + 0.04 + 0.01 is needed"


def test_the_aims_of_the_attributes_together_are_the_standing():
    found = GroupCounts(("s", "t"), (("a", "x"), ("b", "y")), ("no", "yes"),
                        np.array([[[950, 50], [50, 950]], [[700, 300], [500, 500]]]))  # fmt: skip
    policy = Policy(
        min_balanced_accuracy=0.7,
        attributes={"s": {"groups": ["a", "b"], "max_eo_gap": 0.9}, "t": {"groups": ["x", "y"], "max_eo_gap": 0.1}},
    )
    one, other = aims(found, policy, aim=0.5)
    assert (one.attribute, one.excess < 0, one.floor_kept) == ("s", True, False)
    whole = standing(found, policy, aim=0.5)
    assert (whole.gap, whole.worst_group) == (one.gap, other.worst_group)
    assert whole.excess == other.excess > one.excess
    assert not whole.floor_kept
    free = aims(found, policy.model_copy(update={"min_balanced_accuracy": None}), aim=0.5)
    assert all(item.floor_kept for item in free), "better than chance"
