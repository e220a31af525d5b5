import numpy as np
import pytest

from edgefair.errors import DataError
from edgefair.measure.metrics import Estimated, equalized_odds_difference, worst_group_balanced_accuracy
from edgefair.study.bootstrap import _order, _resampled, crossed, gaps, worst_balanced


def width(interval):
    return interval[1] - interval[0]


def tables_of(seeds, rng, rows=400, spread=0.03):
    """Two groups, whose true positive rates differ by 0.1, and by more or less from seed to seed."""
    table = np.empty((seeds, 2, 2, 2), np.int64)
    for seed in range(seeds):
        for group, label in np.ndindex(2, 2):
            rate = (0.2, 0.7)[label] + 0.1 * group * label + rng.normal(0, spread)
            positive = rng.binomial(rows, rate)
            table[seed, group, label] = rows - positive, positive
    return table


@pytest.fixture
def tables():
    return tables_of(8, np.random.default_rng(0))


def test_statistics_of_many_tables_are_those_of_one(tables):
    one = [Estimated(("a", "b"), table) for table in tables]
    assert gaps(tables) == pytest.approx([equalized_odds_difference(item) for item in one])
    assert worst_balanced(tables) == pytest.approx([worst_group_balanced_accuracy(item) for item in one])


def test_resampled_counts_have_the_law_of_resampled_rows(tables):
    """Mean and variance of every count, and the same cells for all seeds: they share their rows."""
    drawn = _resampled(tables, 4000, np.random.default_rng(1), _order(2, (2,)))
    total = tables[0].sum()
    share = tables / total
    assert drawn.mean(axis=0) == pytest.approx(tables, abs=2.0)
    assert drawn.var(axis=0) == pytest.approx(total * share * (1 - share), rel=0.12)
    cells = drawn.sum(axis=-1)
    assert (cells == cells[:, :1]).all()
    assert (drawn.sum(axis=(2, 3, 4)) == total).all()


def test_more_seeds_lower_the_floor_of_seeds_and_not_that_of_rows():
    rng = np.random.default_rng(3)
    few, many = (crossed(tables_of(seeds, rng), replicates=1000) for seeds in (6, 48))
    assert width(many.over_seeds) < 0.6 * width(few.over_seeds)
    assert width(many.over_rows) > 0.75 * width(few.over_rows)
    assert width(few.over_both) > max(width(few.over_seeds), 0.95 * width(few.over_rows))


def test_seeds_alone_are_the_ordinary_bootstrap(tables):
    found = crossed(tables, replicates=4000)
    own = gaps(tables)
    rng = np.random.default_rng(9)
    means = own[rng.integers(0, 8, (4000, 8))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    assert found.value == pytest.approx(own.mean())
    half = max(high - own.mean(), own.mean() - low)
    assert found.over_seeds == pytest.approx((own.mean() - half, own.mean() + half), abs=0.004)


def test_neither_no_gap_nor_a_clear_one_is_excluded_by_its_own_interval():
    """Percentiles alone exclude the first, basic limits alone the zero of it."""
    fair = np.broadcast_to(np.array([[50, 50], [50, 50]]), (4, 2, 2, 2))
    none = crossed(fair)
    assert none.value == 0
    assert none.over_rows[0] <= 0 <= none.over_rows[1]
    assert none.over_rows[1] > 0.1


def test_a_model_that_changes_nothing_grows_no_gap_whatever_the_rows(tables):
    same = np.zeros((*tables.shape, 2), np.int64)
    for decision in range(2):
        same[..., decision, decision] = tables[..., decision]
    found = crossed(same, paired=True, replicates=300)
    assert found.value == 0
    assert found.over_rows == found.over_seeds == found.over_both == (0.0, 0.0)


def test_a_small_change_is_seen_more_sharply_in_pairs_than_apart(tables):
    flipped = np.zeros((*tables.shape, 2), np.int64)
    for decision in range(2):
        flipped[..., decision, decision] = tables[..., decision]
    flipped[:, 1, 1, 1, 1] -= 8
    flipped[:, 1, 1, 1, 0] += 8
    pair = crossed(flipped, paired=True)
    assert pair.over_rows[0] <= pair.value <= pair.over_rows[1]
    assert width(pair.over_rows) < 0.5 * width(crossed(tables).over_rows)


def test_the_same_seed_makes_the_same_interval(tables):
    assert crossed(tables, worst_balanced, seed=5) == crossed(tables, worst_balanced, seed=5)


def test_counts_that_cannot_be_crossed_are_refused(tables):
    for wrong, said in (
        (tables[:1], "two seeds"),
        (tables.astype(float), "float64"),
        (tables + np.arange(8)[:, None, None, None], "different audit rows"),
        (tables * np.array([1, 0])[:, None, None], "no audit rows"),
    ):
        with pytest.raises(DataError) as error:
            crossed(wrong)
        assert said in str(error.value)


@pytest.mark.long
def test_intervals_over_both_cover_the_truth():
    """True mean gap: that of the expected rates, far from 0, so that the maximum is no matter."""
    hits, studies = 0, 400
    for study in range(studies):
        rng = np.random.default_rng(study)
        rates = np.array([[0.2, 0.5], [0.2, 0.9]]) + rng.normal(0, 0.01, (12, 2, 2))
        u = rng.random((2, 2, 500))
        positive = (u[None] < rates[..., None]).sum(axis=-1)
        table = np.stack([500 - positive, positive], axis=-1)
        low, high = crossed(table, replicates=400, seed=study).over_both
        hits += low <= 0.4 <= high
    assert hits / studies >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / studies)
