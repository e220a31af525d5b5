"""False PASS by enumeration: every table of two cells, every pair of rates whose difference is at the threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edgefair.measure.bounds import absolute, clopper_pearson, mover
from edgefair.measure.exact import (
    STEPS,
    _least_passing,
    _nodes,
    _passing,
    confirmed,
    corners,
    error_of_pass,
    rectangle,
    staircase,
)

SMALL = [(7, 30), (31, 31), (42, 190)]
LARGER = [(10, 315), (60, 60), (58, 400), (90, 130), (300, 25)]
SIZES = [pytest.param(*size, id=f"{size[0]} {size[1]}") for size in SMALL]
SIZES += [pytest.param(*size, id=f"{size[0]} {size[1]}", marks=pytest.mark.long) for size in LARGER]
cell = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def mover_limits(x, n, alpha):
    sides = [(a / b, *clopper_pearson(a, b, alpha)) for a, b in zip(x, n, strict=True)]
    return absolute(*mover(*sides[0], *sides[1]))[2]


def all_tables(n_1, n_2):
    x = tuple(grid.ravel() for grid in np.meshgrid(np.arange(n_1 + 1), np.arange(n_2 + 1), indexing="ij"))
    return x, (np.full(len(x[0]), n_1), np.full(len(x[0]), n_2))


def false_pass(passes, n_1, n_2, threshold, rates=600):
    """Largest probability of the tables that pass, over rates whose difference is the threshold, either way."""
    low = np.linspace(0, 1 - threshold, rates)
    high = np.minimum(low + threshold, 1)
    found = 0.0
    for p_1, p_2 in ((high, low), (low, high)):
        first = stats.binom.pmf(np.arange(n_1 + 1)[:, None], n_1, p_1)
        second = stats.binom.pmf(np.arange(n_2 + 1)[:, None], n_2, p_2)
        found = max(found, ((passes.reshape(n_1 + 1, n_2 + 1) @ second) * first).sum(axis=0).max())
    return found


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("threshold", [0.02, 0.1, 0.3])
@pytest.mark.parametrize(("n_1", "n_2"), SIZES)
def test_by_enumeration_an_unfair_pair_passes_with_alpha_at_most(n_1, n_2, threshold, alpha):
    x, n = all_tables(n_1, n_2)
    upper = confirmed(mover_limits(x, n, alpha), x, n, threshold=threshold, alpha=alpha)
    assert false_pass(upper <= threshold, n_1, n_2, threshold) <= alpha


def test_where_movers_limits_pass_twice_as_often_as_they_say_the_exact_test_does_not():
    x, n = all_tables(10, 315)
    upper = mover_limits(x, n, 0.01)
    assert false_pass(upper <= 0.3, 10, 315, 0.3) > 0.017
    assert false_pass(confirmed(upper, x, n, threshold=0.3, alpha=0.01) <= 0.3, 10, 315, 0.3) <= 0.01


@settings(max_examples=60, deadline=None)
@given(cell, cell, st.sampled_from([0.02, 0.05, 0.1, 0.3]), st.sampled_from([0.001, 0.05, 0.2]))
def test_a_limit_is_never_lowered_and_is_the_same_for_the_pair_turned_round(a, b, threshold, alpha):
    x, n = (np.array([a[0]]), np.array([b[0]])), (np.array([a[1]]), np.array([b[1]]))
    upper = mover_limits(x, n, alpha)
    found = confirmed(upper, x, n, threshold=threshold, alpha=alpha)
    assert found >= upper
    assert found == upper or found > threshold
    assert confirmed(upper, x[::-1], n[::-1], threshold=threshold, alpha=alpha) == pytest.approx(found, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(cell, cell, st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([0.001, 0.05, 0.2]))
def test_what_the_wide_limits_pass_the_exact_test_passes(a, b, threshold, alpha):
    x, n = (np.array([a[0]]), np.array([b[0]])), (np.array([a[1]]), np.array([b[1]]))
    if rectangle(x, n, alpha)[0] <= threshold and mover_limits(x, n, alpha)[0] <= threshold:
        assert error_of_pass(*a, *b, threshold, alpha) <= alpha


@given(st.floats(0.02, 50), st.floats(1e-6, 0.3))
def test_the_staircase_covers_uniform_numbers_with_confidence(ratio, alpha):
    """P(some k: Q_1 >= a_k, Q_2 >= b_k): strips of Q_1, between the levels, times what Q_2 needs there."""
    first, second = (part[0] for part in corners(np.array([ratio]), alpha))
    assert (np.diff(first) <= 0).all()
    strips = np.append(1 - first[0], -np.diff(first))
    assert (strips * (1 - second)).sum() >= 1 - alpha - 1e-12
    assert (strips * (1 - second)).sum() <= 1 - 0.9 * alpha


@settings(max_examples=30, deadline=None)
@given(
    st.integers(20, 300), st.integers(20, 3000), st.sampled_from([0.02, 0.05, 0.2]), st.floats(0.001, 0.2), st.data()
)
def test_between_the_rates_that_are_looked_at_the_error_is_no_larger(n_1, n_2, threshold, level, data):
    low = data.draw(st.floats(0, 0.8 * (1 - threshold)))
    high = data.draw(st.floats(low, 1 - threshold))
    x = np.arange(n_1 + 1)
    least = _least_passing(x, n_1, n_2, threshold, level, 1e-9)
    p = np.linspace(low, high, 3000)
    largest = _passing(x, least, n_1, n_2, p + threshold, p).max()
    for step in STEPS:
        nodes = _nodes(n_1, n_2, threshold, low, high, step)
        found = _passing(x, least, n_1, n_2, np.minimum(nodes + threshold, 1), nodes).max()
        assert largest <= found * (1 + step**2 / 6) + 1e-12


def test_cells_of_a_million_rows_are_judged_by_the_staircase():
    x, n = (np.array([100_000]), np.array([101_000])), (np.array([10**6]), np.array([10**6]))
    upper = mover_limits(x, n, 0.05)
    steps = staircase(x[::-1], n, 0.05)
    assert upper < steps < 1.02 * upper
    between = float((upper[0] + steps[0]) / 2)
    assert confirmed(upper, x, n, threshold=between, alpha=0.05) == pytest.approx(steps)
    assert confirmed(upper, x, n, threshold=float(steps[0]), alpha=0.05) == upper
