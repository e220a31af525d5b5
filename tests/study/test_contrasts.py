import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edgefair.errors import UsageError
from edgefair.study.contrasts import (
    Contrast,
    Values,
    differences,
    estimates,
    sign_flip_max_t,
    t_interval,
    t_test,
)
from edgefair.study.power import power

ONE = Contrast("a minus b", "extent", (("a", 1.0), ("b", -1.0)))
some = st.lists(st.floats(-1, 1).map(lambda x: round(x, 6)), min_size=2, max_size=20).map(np.array)


def values(response="gap", collapsed=(), **columns):
    cells = {(name, seed): value for name, column in columns.items() for seed, value in enumerate(column)}
    return Values(response, cells, frozenset(collapsed))


def family(d):
    """A contrast of every column of d [seeds, contrasts] with a cell of zeros."""
    contrasts = [Contrast(f"c{k}", "f", ((f"c{k}", 1.0), ("zero", -1.0))) for k in range(d.shape[1])]
    columns = {f"c{k}": d[:, k] for k in range(d.shape[1])}
    return contrasts, [values(zero=np.zeros(len(d)), **columns)], range(len(d))


@given(some.filter(lambda d: d.std() > 1e-4))
def test_test_and_interval_are_scipys(d):
    theirs = stats.ttest_1samp(d, 0.0)
    assert t_test(d) == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert t_interval(d, 0.9) == pytest.approx(tuple(theirs.confidence_interval(0.9)), abs=1e-9)


def test_holm_is_that_of_a_table_worked_by_hand():
    rng = np.random.default_rng(3)
    found = estimates(*family(rng.normal(0.01, 0.02, (9, 4))))
    p = sorted(item.p for item in found)
    by_hand = np.maximum.accumulate([min(1, (4 - rank) * p[rank]) for rank in range(4)])
    assert sorted(item.p_holm for item in found) == pytest.approx(list(by_hand))


def test_sign_flips_are_enumerated_as_by_hand():
    d = np.random.default_rng(0).normal(0.5, 1, (5, 3))
    sizes = [
        np.abs(stats.ttest_1samp(np.array(signs)[:, None] * d, 0.0).statistic)
        for signs in itertools.product([1, -1], repeat=5)
    ]
    observed = np.abs(stats.ttest_1samp(d, 0.0).statistic)
    by_hand = [np.mean([size.max() >= own - 1e-9 for size in sizes]) for own in observed]
    assert sign_flip_max_t(d) == pytest.approx(by_hand)


def test_one_contrast_of_one_sign_has_two_of_all_flips():
    assert sign_flip_max_t(np.arange(1.0, 9.0)[:, None]) == pytest.approx([2 / 2**8])


def test_drawn_flips_agree_with_scipys_permutation_test_and_with_themselves():
    d = np.random.default_rng(5).normal(0.3, 1, (14, 1))
    theirs = stats.permutation_test(
        (d[:, 0],),
        lambda x, axis: np.abs(np.mean(x, axis=axis)),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
        vectorized=True,
    )
    assert sign_flip_max_t(d, seed=1) == pytest.approx([theirs.pvalue], abs=0.015)
    assert np.array_equal(sign_flip_max_t(d, seed=1), sign_flip_max_t(d, seed=1))


@settings(deadline=None, max_examples=25)
@given(some.filter(lambda d: 6 <= len(d) <= 10))
def test_a_seed_without_a_contrast_adds_nothing_to_it(d):
    lone = np.concatenate([d, [np.nan]])[:, None]
    assert sign_flip_max_t(lone) == pytest.approx(sign_flip_max_t(d[:, None]))


def test_a_contrast_is_paired_by_seed_whatever_their_order():
    cells = values(a=[0.3, 0.1, 0.2], b=[0.1, 0.1, 0.4])
    assert differences(ONE, cells, [2, 0, 1]).values == pytest.approx([0.2, 0.0, -0.2])


def test_collapsed_and_missing_cells_leave_their_seed_out_and_are_counted():
    cells = values(a=[0.3, 0.1, 0.2, np.nan], b=[0.1, 0.1, 0.1, 0.0], collapsed=[("b", 1)])
    found = differences(ONE, cells, [0, 1, 2, 3, 4])
    assert set(found.by_seed) == {0, 2}
    assert found.collapsed == (1,)
    assert found.missing == (3, 4)


def test_what_never_varies_is_nothing_or_certain():
    assert t_test(np.zeros(8)) == 1.0
    assert 0 < t_test(np.full(8, 0.3)) < 1e-20
    (smaller,) = estimates([ONE], [values(a=[7.0] * 8, b=[9.0] * 8)], range(8))
    assert smaller.found
    (found,) = estimates([ONE], [values(a=[0.2] * 8, b=[0.2] * 8)], range(8))
    assert not found.found
    assert found.no_larger_than(0.001)


def test_the_rounding_of_weights_is_no_effect():
    weights = {"a": -0.1 / 0.02, "b": -0.03 / 0.02, "c": 0.13 / 0.02}
    slope = Contrast("slope", "slope", tuple(weights.items()))
    levels = values("worst_balanced", **{name: [0.53, 0.51, 0.49] * 3 for name in weights})
    assert any(math.fsum(weight * value for weight in weights.values()) for value in (0.53, 0.51, 0.49))
    (found,) = estimates([slope], [levels], range(9))
    assert (found.mean, found.p) == (0.0, 1.0)


def test_few_seeds_claim_nothing_however_clear_they_look():
    (found,) = estimates([ONE], [values(a=[0.5, 0.51, 0.49, 0.5, 0.5], b=[0.1] * 5)], range(5))
    assert found.p < 1e-6
    assert found.p_signflip is None
    assert not found.found
    (same,) = estimates([ONE], [values(a=[0.1] * 5, b=[0.1] * 5)], range(5))
    assert not same.no_larger_than(0.02)


def test_equivalence_is_two_one_sided_tests():
    d = np.random.default_rng(2).normal(0.002, 0.01, 10)
    (found,) = estimates([ONE], [values(a=d, b=np.zeros(10))], range(10))
    for delta in (0.5 * found.bound, 0.99 * found.bound, 1.01 * found.bound, 2 * found.bound):
        above = stats.ttest_1samp(d, -delta, alternative="greater").pvalue
        below = stats.ttest_1samp(d, delta, alternative="less").pvalue
        assert found.no_larger_than(delta) == (max(above, below) <= 0.05)


def test_an_exploratory_contrast_shares_no_family_with_planned_ones():
    later = Contrast("b minus a", "extent", (("b", 1.0), ("a", -1.0)), planned=False)
    d = np.random.default_rng(1).normal(0.02, 0.02, 8)
    found = estimates([ONE, later], [values(a=d, b=np.zeros(8))], range(8))
    assert [item.p_holm for item in found] == pytest.approx([item.p for item in found])


def test_a_family_counts_all_its_responses():
    d = np.random.default_rng(1).normal(0.02, 0.02, 8)
    both = [values(a=d, b=np.zeros(8)), values("accuracy", a=d + 0.1, b=np.zeros(8))]
    first, second = estimates([ONE], both, range(8))
    assert first.p_holm == pytest.approx(max(first.p, 2 * second.p))


def test_one_seed_has_a_mean_and_nothing_else():
    (found,) = estimates([ONE], [values(a=[0.3], b=[0.1])], [0])
    assert found.mean == pytest.approx(0.2)
    assert found.p is None
    assert not found.found
    (none,) = estimates([ONE], [values(a=[0.3], b=[0.1], collapsed=[("a", 0)])], [0])
    assert none.mean is None


def test_weights_that_compare_nothing_and_seeds_given_twice_are_refused():
    with pytest.raises(UsageError, match="do not sum to 0"):
        Contrast("a", "f", (("a", 1.0),))
    with pytest.raises(UsageError, match="each once"):
        estimates([ONE], [], [1, 1])
    with pytest.raises(UsageError, match="given twice"):
        estimates([ONE, ONE], [], [1, 2])


def simulated(studies, contrasts, effect, seeds, sd=0.02):
    """Shares of studies that find the planted effect, and that find any of the others, which have none."""
    rng = np.random.default_rng(11)
    planted = others = 0
    for _ in range(studies):
        # One control for all contrasts: they are correlated, as in a study.
        d = rng.normal(0, sd / np.sqrt(2), (seeds, contrasts)) - rng.normal(0, sd / np.sqrt(2), (seeds, 1))
        d[:, 0] += effect
        found = estimates(*family(d))
        planted += found[0].found
        others += any(item.found for item in found[1:])
    return planted / studies, others / studies


def test_a_planted_effect_is_found_and_none_is_found_where_there_is_none():
    planted, others = simulated(100, 6, 0.05, 9)
    assert planted >= 0.8 - 0.1
    assert others <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)
    assert simulated(100, 6, 0.0, 9)[0] <= 0.05


@pytest.mark.long
def test_power_and_false_findings_are_as_promised():
    studies = 4_000
    error = 3 * np.sqrt(0.25 / studies)
    # One contrast: the promise of `power`, whose check by sign flips may cost a little.
    planted, _ = simulated(studies, 1, 0.02, 10)
    assert planted == pytest.approx(power(10, sd=0.02, effect=0.02), abs=error + 0.02)
    # A family of ten, of which nine have no effect; and ten without any.
    _, others = simulated(studies, 10, 0.05, 10)
    assert others <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)
    nothing = simulated(studies, 10, 0.0, 10)
    assert max(nothing) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)
