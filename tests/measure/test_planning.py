import numpy as np
import pytest

from edgefair.measure.planning import power_absolute, power_paired, rows_for_power, smallest_threshold

RATES = np.array([0.1, 0.8])


def absolute(groups, gap=0.0):
    return lambda n: power_absolute(np.full((groups, 2), n), RATES, gap=gap, threshold=0.05, alpha=0.05, seed=0)


@pytest.mark.parametrize(
    ("groups", "gap", "expected"), [(2, 0.0, 1164), (4, 0.0, 1731), (4, 0.02, 3308), (8, 0.02, 4106)]
)
def test_rows_per_cell_are_those_of_the_design(groups, gap, expected):
    assert rows_for_power(absolute(groups, gap), 0.8) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("groups", "expected"), [(2, 733), (4, 965)])
def test_rows_of_the_paired_gate_are_those_of_the_design(groups, expected):
    def power(n):
        return power_paired(np.full((groups, 2), n), 0.01, increase=0, threshold=0.02, alpha=0.05, seed=0)

    assert rows_for_power(power, 0.8) == pytest.approx(expected, rel=0.05)


def test_rows_that_no_set_has_are_absent():
    assert rows_for_power(absolute(2, gap=0.05), 0.8, most=1 << 14) is None


def test_the_smallest_threshold_separates_what_can_pass_from_what_cannot():
    n = np.full((2, 2), 800)
    least = smallest_threshold(n, RATES, alpha=0.05)
    assert power_absolute(n, RATES, gap=0.0, threshold=least * 0.5, alpha=0.05, seed=0) < 0.05
    assert power_absolute(n, RATES, gap=0.0, threshold=least * 2, alpha=0.05, seed=0) > 0.9


def test_equal_seeds_give_equal_plans():
    assert absolute(2)(900) == absolute(2)(900)
