import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgefair.measure.bounds import absolute, change, clopper_pearson, mover, root

level = st.floats(0.001, 0.2)
sample = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def rate(x, n, alpha):
    return (np.asarray(x) / n, *clopper_pearson(x, n, alpha))


def difference_of(a, b, alpha):
    """Of two rates, each (successes, trials)."""
    return mover(*rate(*a, alpha), *rate(*b, alpha))


@given(sample, level)
def test_limits_are_scipys_clopper_pearson(data, alpha):
    x, n = data
    lower, upper = clopper_pearson(x, n, alpha)
    exact = stats.binomtest(x, n).proportion_ci(confidence_level=1 - 2 * alpha, method="exact")
    assert lower == pytest.approx(exact.low, abs=1e-9)
    assert upper == pytest.approx(exact.high, abs=1e-9)


def test_without_rows_a_rate_may_be_anything():
    assert [float(limit) for limit in clopper_pearson(0, 0, 0.05)] == [0.0, 1.0]


@given(sample, sample, level)
def test_limits_hold_the_estimate_and_stay_within_one(a, b, alpha):
    difference, lower, upper = difference_of(a, b, alpha)
    assert -1 - 1e-12 <= lower <= difference <= upper <= 1 + 1e-12


@given(sample, sample, level, level)
def test_limits_widen_as_alpha_falls(a, b, one, other):
    _, lower_wide, upper_wide = difference_of(a, b, min(one, other))
    _, lower, upper = difference_of(a, b, max(one, other))
    assert lower_wide <= lower + 1e-12
    assert upper_wide >= upper - 1e-12


@given(sample, sample, level, st.integers(2, 20))
def test_limits_narrow_with_more_rows_of_the_same_rates(a, b, alpha, times):
    _, lower, upper = difference_of(a, b, alpha)
    _, lower_more, upper_more = difference_of((a[0] * times, a[1] * times), (b[0] * times, b[1] * times), alpha)
    assert upper_more - lower_more <= upper - lower + 1e-12


@given(sample, sample, level)
def test_swapping_the_groups_mirrors_the_limits(a, b, alpha):
    difference, lower, upper = difference_of(a, b, alpha)
    mirrored, low, high = difference_of(b, a, alpha)
    assert (mirrored, low, high) == pytest.approx((-difference, -upper, -lower), abs=1e-12)


@given(st.integers(1, 2000), st.data(), level)
def test_a_paired_shift_holds_the_change_of_the_rate_and_is_wider_than_of_independent_rows(n, data, alpha):
    gained = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - gained))
    shift, lower, upper = change(rate(gained, n, alpha), rate(lost, n, alpha))
    assert shift == pytest.approx((gained - lost) / n)
    assert -1 - 1e-12 <= lower <= shift <= upper <= 1 + 1e-12
    _, lower_alone, upper_alone = difference_of((gained, n), (lost, n), alpha)
    assert lower <= lower_alone + 1e-12
    assert upper >= upper_alone - 1e-12


@pytest.mark.parametrize("flipped", [0.02, 0.2, 0.4, 0.8])
def test_by_enumeration_a_loss_at_the_threshold_is_missed_by_about_alpha_however_many_rows_flip(flipped):
    """All pairs (gained, lost) of 400 rows of which a share flips, one way more often by 0.05."""
    n, loss = 400, min(0.05, flipped)
    down, up = (flipped + loss) / 2, (flipped - loss) / 2
    lost, gained = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    possible = lost + gained <= n
    lost, gained = lost[possible], gained[possible]
    probability = stats.multinomial.pmf(np.stack([lost, gained, n - lost - gained], axis=1), n, [down, up, 1 - flipped])
    upper = change(rate(lost, n, 0.05), rate(gained, n, 0.05))[2]
    assert probability[upper < loss - 1e-12].sum() <= 0.052


def test_mover_is_its_equation():
    value, lower, upper = mover(*(np.array(v) for v in (0.8, 0.7, 0.85, 0.5, 0.45, 0.6)))
    assert value == pytest.approx(0.3)
    assert lower == pytest.approx(0.3 - np.hypot(0.1, 0.1))
    assert upper == pytest.approx(0.3 + np.hypot(0.05, 0.05))


@pytest.mark.parametrize(("n_a", "n_b"), [(60, 60), (60, 200)])
@pytest.mark.parametrize("rates", [(0.8, 0.75), (0.05, 0.1), (0.5, 0.45)])
def test_by_enumeration_the_upper_limit_misses_at_most_about_alpha(n_a, n_b, rates):
    """Exact coverage: the probability, over all pairs of counts, that the upper limit is below the true difference."""
    a, b = np.meshgrid(np.arange(n_a + 1), np.arange(n_b + 1), indexing="ij")
    probability = stats.binom.pmf(a, n_a, rates[0]) * stats.binom.pmf(b, n_b, rates[1])
    _, lower, upper = difference_of((a, n_a), (b, n_b), 0.05)
    true = rates[0] - rates[1]
    assert probability[upper < true].sum() <= 0.055
    assert probability[lower > true].sum() <= 0.055


@pytest.mark.parametrize(("n_a", "n_b"), [(60, 60), (10, 315), (42, 190)])
@pytest.mark.parametrize("threshold", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("level", [0.00625, 0.025])
def test_by_enumeration_a_pair_at_the_threshold_is_condemned_with_hardly_more_than_the_level(
    n_a, n_b, threshold, level
):
    a, b = np.meshgrid(np.arange(n_a + 1), np.arange(n_b + 1), indexing="ij")
    beyond = absolute(*difference_of((a, n_a), (b, n_b), level))[1] > threshold
    low = np.linspace(0, 1 - threshold, 101)
    high = np.minimum(low + threshold, 1)
    for rate_a, rate_b in ((high, low), (low, high)):
        first = stats.binom.pmf(np.arange(n_a + 1)[:, None], n_a, rate_a)
        second = stats.binom.pmf(np.arange(n_b + 1)[:, None], n_b, rate_b)
        assert ((beyond @ second) * first).sum(axis=0).max() <= 1.02 * level


@given(st.floats(0.01, 50), st.floats(0.01, 0.99), st.sampled_from([1e-12, 1e-6]))
def test_a_root_is_found_as_near_as_was_asked(steep, place, near):
    """Of a function that is flat on one side and steep on the other."""
    wanted = 40 * place
    found = root(lambda x: np.expm1(steep * (x - wanted) / 10), 0.0, 40.0, near=near)
    assert found == pytest.approx(wanted, abs=2 * near + 1e-13)


def test_a_root_between_places_of_one_sign_is_refused():
    with pytest.raises(ValueError, match="no change of sign"):
        root(lambda x: x + 1, 0.0, 1.0)
