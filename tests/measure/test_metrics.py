import numpy as np
import pytest
from fairlearn import metrics as fairlearn
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.errors import DataError
from edgefair.measure import metrics
from edgefair.measure.counts import GroupCounts
from edgefair.measure.flips import cell_flips, holm
from edgefair.measure.paired import PairedCounts

seeds = st.integers(0, 10_000)


def sample(seed, groups=3, rows=200, classes=2):
    """Rows with every (group, label, decision) cell filled."""
    rng = np.random.default_rng(seed)
    every = np.array(list(np.ndindex(groups, classes, classes)))
    random = np.stack([rng.integers(0, groups, rows), *rng.integers(0, classes, (2, rows))], axis=1)
    return np.concatenate([every, random]).T


def counted(group, label, decision, classes=2):
    names = tuple(str(index) for index in range(classes))
    return GroupCounts.from_rows({"g": group.astype(str)}, label=label, decision=decision, classes=names)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_metrics_equal_fairlearns(seed):
    g, y, c = sample(seed)
    found = metrics.all_metrics(counted(g, y, c))
    options = {"sensitive_features": g}
    expected = {
        "equalized_odds_difference": fairlearn.equalized_odds_difference(y, c, **options),
        "equalized_odds_ratio": fairlearn.equalized_odds_ratio(y, c, **options),
        "equalized_odds_to_overall": fairlearn.equalized_odds_difference(y, c, method="to_overall", **options),
        "average_odds_absolute": fairlearn.equalized_odds_difference(y, c, agg="mean", **options),
        "demographic_parity_difference": fairlearn.demographic_parity_difference(y, c, **options),
        "demographic_parity_ratio": fairlearn.demographic_parity_ratio(y, c, **options),
        "equal_opportunity_difference": fairlearn.equal_opportunity_difference(y, c, **options),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


@given(seeds)
def test_accuracy_and_precision_metrics_are_what_a_loop_finds(seed):
    g, y, c = sample(seed)
    found = metrics.all_metrics(counted(g, y, c))
    accuracy = [np.mean(y[g == group] == c[g == group]) for group in range(3)]
    precision = [np.mean(y[(g == group) & (c == 1)]) for group in range(3)]
    recalls = [[np.mean(c[(g == group) & (y == label)] == label) for label in range(2)] for group in range(3)]
    assert found["worst_group_accuracy"] == pytest.approx(min(accuracy))
    assert found["accuracy_difference"] == pytest.approx(np.ptp(accuracy))
    assert found["predictive_parity_difference"] == pytest.approx(np.ptp(precision))
    assert found["worst_group_balanced_accuracy"] == pytest.approx(np.mean(recalls, axis=1).min())


@given(seeds)
def test_with_more_classes_the_gap_is_term_by_term(seed):
    g, y, c = sample(seed, classes=4)
    counts = counted(g, y, c, classes=4)
    rate = {
        (a, label, k): np.mean(c[(g == a) & (y == label)] == k)
        for a in range(3)
        for label in range(4)
        for k in range(4)
    }
    gaps = [abs(rate[a, label, k] - rate[b, label, k]) for a, label, k in rate for b in range(3)]
    assert metrics.equalized_odds_difference(counts) == pytest.approx(max(gaps))
    assert 0 <= metrics.total_variation(counts) <= 1
    assert metrics.total_variation(counts) >= max(gaps) - 1e-12


def test_a_group_without_positives_has_no_metric_and_not_zero():
    """Other tools answer 0.0, 1.0, NaN or a crash."""
    counts = GroupCounts(("g",), (("a",), ("b",)), ("0", "1"), np.array([[[5, 5], [5, 5]], [[5, 5], [0, 0]]]))
    found = metrics.all_metrics(counts)
    for name in (
        "equalized_odds_difference",
        "equal_opportunity_difference",
        "equalized_odds_ratio",
        "average_odds_absolute",
    ):
        assert found[name] is None, name
    assert found["demographic_parity_difference"] == 0.0


def test_metrics_of_the_positive_class_need_two_classes():
    with pytest.raises(DataError, match="positive class"):
        metrics.ratio(counted(*sample(0, classes=3), classes=3), "TPR")


@given(seeds)
def test_flips_are_what_a_loop_finds(seed):
    rng = np.random.default_rng(seed)
    g, y, before, after = rng.integers(0, 3, (4, 300))
    paired = PairedCounts.from_rows(
        {"g": g.astype(str)}, label=y, reference=before, candidate=after, classes=("0", "1", "2")
    )
    for cell in cell_flips(paired):
        mine = (g == int(cell.group[0])) & (y == int(cell.label))
        assert cell.rows == mine.sum()
        assert cell.corrected == (mine & (after == y) & (before != y)).sum()
        assert cell.broken == (mine & (before == y) & (after != y)).sum()
        assert cell.flipped == (mine & (before != after)).sum()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_its_definition(p):
    adjusted = holm(np.array(p))
    order = np.argsort(p)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, p[index] * (len(p) - rank)))
        assert adjusted[index] == pytest.approx(running)
