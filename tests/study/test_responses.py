import json
from dataclasses import fields

import numpy as np
import pytest
from fairlearn.metrics import equalized_odds_difference
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from edgefair.errors import DataError
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.study import responses
from edgefair.study.table import Row


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    group, label = rng.integers(0, 2, 4000), rng.integers(0, 2, 4000)
    score = 1 / (1 + np.exp(-(1.2 * label - 0.6 + 0.7 * group + rng.normal(0, 1, 4000))))
    return score, label, group


def counted(label, decision, group):
    return GroupCounts.from_rows({"g": group.astype(str)}, label=label, decision=decision, classes=("no", "yes"))


def test_responses_of_counts_are_those_of_fairlearn_and_sklearn(rows):
    score, label, group = rows
    decision = (score >= 0.5).astype(int)
    found = responses.decided(counted(label, decision, group))
    assert found.gap == pytest.approx(equalized_odds_difference(label, decision, sensitive_features=group))
    assert found.balanced == pytest.approx(balanced_accuracy_score(label, decision))
    assert found.accuracy == pytest.approx((label == decision).mean())
    assert found.gap == max(found.tpr_gap, found.fpr_gap)
    assert found.gap_lower < found.gap < found.gap_upper
    assert not found.collapsed


def test_every_response_is_a_column_of_the_table():
    columns = {item.name for item in fields(Row)}
    assert {item.name for kind in (responses.Decided, responses.Refitted) for item in fields(kind)} <= columns


def test_a_model_that_finds_nobody_has_collapsed():
    label, group = np.repeat([0, 1], 100), np.tile([0, 1], 100)
    assert responses.decided(counted(label, np.zeros(200, int), group)).collapsed
    barely = np.concatenate([np.zeros(100, int), np.ones(10, int), np.zeros(90, int)])
    assert responses.decided(counted(label, barely, group)).collapsed
    barely[110:112] = 1
    assert not responses.decided(counted(label, barely, group)).collapsed


def test_the_operating_point_is_the_best_of_all_that_can_be(rows):
    score, label = rows[0][:200], rows[1][:200]
    at = responses.operating_point(score, label)
    best = max(balanced_accuracy_score(label, score >= other) for other in score)
    assert balanced_accuracy_score(label, score >= at) == pytest.approx(best)


def test_the_refitted_gap_says_which_rows_and_does_not_see_a_shift_of_all_scores(rows):
    score, label, group = rows
    half = slice(0, 2000), slice(2000, None)

    def gap_of(scores):
        audit = scores[half[1]], label[half[1]], group[half[1]]
        return responses.refitted(audit, (scores[half[0]], label[half[0]]), rows="2,000 validation rows")

    assert gap_of(score).refit_rows == "2,000 validation rows"
    assert gap_of(score).refitted_gap == pytest.approx(gap_of(score**3).refitted_gap, abs=0.005)
    with pytest.raises(DataError, match="which rows"):
        responses.refitted((score, label, group), (score, label), rows=" ")
    with pytest.raises(DataError, match="lack a label"):
        responses.operating_point(score[label == 1], label[label == 1])


def test_the_auc_gap_is_sklearns_and_absent_where_a_group_has_one_label(rows):
    score, label, group = rows
    theirs = [roc_auc_score(label[group == g], score[group == g]) for g in (0, 1)]
    assert responses.auc_gap(score, label, group) == pytest.approx(abs(theirs[0] - theirs[1]))
    assert responses.auc_gap(score, np.where(group == 0, 1, label), group) is None


def test_psi_and_flips_are_counted_row_by_row(rows):
    score, label, group = rows
    reference, candidate = (score >= 0.5).astype(int), (score >= 0.6).astype(int)
    paired = PairedCounts.from_rows(
        {"g": group.astype(str)}, label=label, reference=reference, candidate=candidate, classes=("no", "yes")
    )
    loss = (reference == label).astype(float) - (candidate == label)
    assert responses.psi_max(paired) == pytest.approx(max(loss[group == g].mean() for g in (0, 1)) - loss.mean())
    assert responses.flip_rate(paired) == pytest.approx((reference != candidate).mean())
    found = json.loads(responses.flips_json(paired, None))
    assert sum(item["flipped"] for item in found["dense"]) == (reference != candidate).sum()
    assert "control" not in found


def test_a_cell_without_rows_has_no_gap_and_no_number_is_made_up():
    label, group = np.array([0, 1, 0]), np.array([0, 0, 1])
    found = responses.decided(counted(label, label, group))
    assert found.gap is found.gap_lower is found.worst_balanced is None
    with pytest.raises(DataError, match="without rows"):
        responses.decided(GroupCounts(("g",), (), ("no", "yes"), np.zeros((0, 2, 2), np.int64)))
