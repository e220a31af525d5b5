import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgefair.measure.latency import _quantile_ranks, speed_up, summarize


@given(st.integers(64, 3000), st.sampled_from([0.01, 0.05, 0.1]))
def test_the_order_statistics_miss_the_p90_with_at_most_the_stated_probability(n, level):
    lower, upper = _quantile_ranks(n, 0.9, level)
    assert lower == 0 or stats.binom.cdf(lower - 1, n, 0.9) <= level
    assert stats.binom.cdf(lower, n, 0.9) > level, "no larger rank would do"
    assert upper == n + 1 or stats.binom.sf(upper - 1, n, 0.9) <= level


def test_percentiles_that_too_few_queries_cannot_support_are_absent():
    few = summarize(np.full(63, 1_000_000), level=0.05)
    assert (few.p90_ms, few.p99_ms, few.p90_upper_ms) == (None, None, None)
    some = summarize(np.full(100, 1_000_000), level=0.05)
    assert (some.p50_ms, some.p90_ms, some.p99_ms) == (1.0, 1.0, None)


def test_a_device_that_slows_down_is_noticed():
    steady, throttled = np.full(900, 10**6), np.linspace(10**6, 2 * 10**6, 900).astype(np.int64)
    assert not summarize(steady, level=0.05).drifted
    assert summarize(throttled, level=0.05).drifted


def test_the_speed_up_is_a_ratio_of_medians_within_its_interval():
    rng = np.random.default_rng(0)
    reference, candidate = (
        rng.lognormal(15, 0.3, 2000).astype(np.int64),
        rng.lognormal(14.3, 0.3, 2000).astype(np.int64),
    )
    speed = speed_up(reference, candidate, level=0.05, seed=1)
    assert speed.lower < speed.ratio < speed.upper
    assert speed.ratio == pytest.approx(np.exp(0.7), rel=0.05)
    assert speed_up(reference, candidate, level=0.05, seed=1) == speed


def test_an_outlier_does_not_move_the_ratio():
    reference, candidate = np.full(1000, 2000), np.full(1000, 1000)
    candidate[5] = 10**9
    assert speed_up(reference, candidate, level=0.05, seed=0).ratio == 2.0


def test_the_limits_of_the_p90_cover_it_as_often_as_they_say():
    """2,000 devices whose true p90 is known; three standard errors of leave, seed fixed."""
    rng = np.random.default_rng(7)
    true_ms = np.exp(stats.norm.ppf(0.9, 14, 0.5)) / 1e6
    drawn = [summarize(rng.lognormal(14, 0.5, 200).astype(np.int64), level=0.05) for _ in range(2000)]
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(drawn))
    assert np.mean([item.p90_upper_ms < true_ms for item in drawn]) <= most
    assert np.mean([item.p90_lower_ms > true_ms for item in drawn]) <= most
