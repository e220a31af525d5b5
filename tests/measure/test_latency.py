import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from edgefair.measure.ladder import quantile_ranks
from edgefair.measure.latency import LEAST_FOR_P90, speed_up, summarize
from edgefair.probe.clock.effective import BATCHES, SCALES, effective_queries


@given(st.integers(64, 3000), st.sampled_from([0.01, 0.05, 0.1]))
def test_the_order_statistics_miss_the_p90_with_at_most_the_stated_probability(n, level):
    lower, upper = quantile_ranks(n, 0.9, level)
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
    speed = speed_up(reference, candidate, level=0.05)
    assert speed.lower < speed.ratio < speed.upper
    assert speed.ratio == pytest.approx(np.exp(0.7), rel=0.05)
    assert speed_up(reference, candidate, level=0.05) == speed


def test_fewer_rounds_than_batches_have_no_interval():
    with pytest.raises(ValueError, match="19 rounds make no 20 batches"):
        speed_up(np.full(19, 10**6), np.full(30, 10**6), level=0.05)


def test_an_outlier_does_not_move_the_ratio():
    reference, candidate = np.full(1000, 2000), np.full(1000, 1000)
    candidate[5] = 10**9
    assert speed_up(reference, candidate, level=0.05).ratio == pytest.approx(2.0)


def test_the_limits_of_the_p90_cover_it_as_often_as_they_say():
    """2,000 devices whose true p90 is known; three standard errors of leave, seed fixed."""
    rng = np.random.default_rng(7)
    true_ms = np.exp(stats.norm.ppf(0.9, 14, 0.5)) / 1e6
    drawn = [summarize(rng.lognormal(14, 0.5, 200).astype(np.int64), level=0.05) for _ in range(2000)]
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(drawn))
    assert np.mean([(item.p90_upper_ms or np.inf) < true_ms for item in drawn]) <= most
    assert np.mean([(item.p90_lower_ms or 0.0) > true_ms for item in drawn]) <= most


# Queries of one device are alike ------------------------------------------------------------------------------------


def alike(rng, queries, rho, models=1):
    """Nanoseconds of queries of an AR(1) process: log times of deviation 0.1 around 1 ms, [models, queries]."""
    noise = rng.standard_normal((models, queries))
    noise[:, 1:] *= np.sqrt(1 - rho**2)
    return (1e6 * np.exp(0.1 * signal.lfilter([1], [1, -rho], noise, axis=1))).astype(np.int64)


TRUE_P90_MS = float(np.exp(0.1 * stats.norm.ppf(0.9)))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize(
    "repeats", [pytest.param(300, id="short"), pytest.param(4000, id="long", marks=pytest.mark.long)]
)
def test_limits_cover_however_alike_queries_are(rho, repeats):
    """1,024 queries, the profiles' least number: of the limits at 95 % of speed-up and p90 0.93 hold at least."""
    rng = np.random.default_rng(5)
    covered, low, high = [], [], []
    for _ in range(repeats):
        reference, candidate = alike(rng, 1024, rho, models=2)
        speed, latency = speed_up(reference, candidate, level=0.05), summarize(candidate, level=0.05)
        covered.append(speed.lower <= 1 <= speed.upper)
        low.append(latency.p90_lower_ms is None or latency.p90_lower_ms <= TRUE_P90_MS)
        high.append(latency.p90_upper_ms is None or latency.p90_upper_ms >= TRUE_P90_MS)
    least = 0.93 - 2 * np.sqrt(0.93 * 0.07 / repeats)
    assert min(np.mean(covered), np.mean(low), np.mean(high)) >= least


@given(st.integers(0, 2000), st.integers(0, 1000))
def test_queries_never_tell_more_than_as_many_independent_ones(queries, seed):
    times = np.random.default_rng(seed).lognormal(14, 0.3, queries).astype(np.int64)
    assert 0 <= effective_queries(times) <= queries


def test_the_number_of_effective_queries_falls_as_they_become_alike():
    rng = np.random.default_rng(0)
    found = [np.median([effective_queries(alike(rng, 4096, rho)[0]) for _ in range(50)]) for rho in (0, 0.5, 0.9, 0.98)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 1000
    assert found[-1] < 100


def test_a_load_that_wanders_slowly_leaves_few_effective_queries():
    """Short batches are alike within each half of the measurement; long ones see that the halves are not."""
    rng = np.random.default_rng(3)
    times = 1e6 * np.exp(0.1 * rng.standard_normal(4000))
    times[2000:] *= 1.05
    found = effective_queries(times.astype(np.int64))
    assert found < LEAST_FOR_P90 < effective_queries(rng.permutation(times).astype(np.int64))


def test_what_fewer_batches_show_is_widened_as_students_t_says():
    for batches, factor in SCALES.items():
        assert factor == pytest.approx(stats.t.ppf(0.975, batches - 1) / stats.t.ppf(0.975, BATCHES - 1), abs=1e-4)


def test_queries_too_alike_have_a_percentile_and_no_limits():
    times = np.repeat(np.random.default_rng(0).lognormal(14, 0.3, 40), 50).astype(np.int64)
    found = summarize(times, level=0.05)
    assert found.effective_queries < LEAST_FOR_P90
    assert found.too_few
    assert found.p90_ms is not None
    assert (found.p90_lower_ms, found.p90_upper_ms) == (None, None)
