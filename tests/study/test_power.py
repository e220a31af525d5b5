import numpy as np
import pytest
from scipy import stats

from edgefair.errors import UsageError
from edgefair.study.power import power, seeds_needed, smallest_effect


@pytest.mark.parametrize(("sd", "seeds"), [(0.005, 3), (0.01, 5), (0.02, 10), (0.03, 20), (0.05, 52), (0.075, 113)])
def test_seeds_for_two_points_of_gap_are_those_of_the_pilot(sd, seeds):
    assert seeds_needed(sd, effect=0.02) == seeds


@pytest.mark.parametrize("seeds", [2, 3, 8, 40])
def test_the_smallest_effect_is_found_with_exactly_the_wanted_power(seeds):
    effect = smallest_effect(seeds, sd=0.03)
    assert power(seeds, sd=0.03, effect=effect) == pytest.approx(0.8, abs=1e-6)
    assert power(seeds, sd=0.03, effect=0.9 * effect) < 0.8


def test_power_is_the_share_of_t_tests_that_find_the_effect():
    rng = np.random.default_rng(1)
    p = stats.ttest_1samp(rng.normal(0.02, 0.02, (20_000, 8)), 0.0, axis=1).pvalue
    assert power(8, sd=0.02, effect=0.02) == pytest.approx((p <= 0.05).mean(), abs=0.012)


def test_without_an_effect_power_is_the_level():
    assert power(8, sd=0.02, effect=0.0) == pytest.approx(0.05)


def test_what_does_not_vary_shows_any_effect():
    assert smallest_effect(3, sd=0.0) == 0.0
    assert seeds_needed(0.0) == 2


def test_one_seed_has_no_power_and_says_so():
    with pytest.raises(UsageError, match="1 seeds have no spread"):
        power(1, sd=0.02)
    with pytest.raises(UsageError, match="no number of seeds"):
        seeds_needed(10.0, effect=0.0001)
    with pytest.raises(UsageError, match="standard deviation of nan"):
        power(8, sd=float("nan"))
