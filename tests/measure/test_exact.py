"""False PASS by enumeration: every table of two cells, every pair of rates whose difference is at the threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edgefair.measure.bounds import absolute, clopper_pearson, mover
from edgefair.measure.exact.pairs import ROUNDING, SPENT, _least_passing, confirmed, error_of_pass
from edgefair.measure.exact.steps import BEND, RUNS, beyond, corners, staircase
from edgefair.measure.exact.supremum import _bounds, largest, probability

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
def test_what_the_staircase_passes_the_exact_test_passes(a, b, threshold, alpha):
    x, n = (np.array([a[0]]), np.array([b[0]])), (np.array([a[1]]), np.array([b[1]]))
    if staircase(x, n, (1 - SPENT) * alpha, BEND)[0] <= threshold and mover_limits(x, n, alpha)[0] <= threshold:
        assert error_of_pass(*a, *b, threshold, alpha) <= alpha


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2])
@pytest.mark.parametrize(("n_1", "n_2"), [(30, 30), (190, 42), (42, 190)])
def test_by_enumeration_the_staircase_misses_with_alpha_at_most(n_1, n_2, alpha):
    """Straight and bent, either way round: the probability of all tables whose limits are within the difference."""
    x, n = all_tables(n_1, n_2)
    for bend in (0.0, BEND):
        upper = np.maximum(staircase(x, n, alpha, bend), staircase(x[::-1], n[::-1], alpha, bend))
        for threshold in (0.02, 0.1, 0.3):
            assert false_pass(upper <= threshold, n_1, n_2, threshold, rates=200) <= alpha


@given(st.floats(0.02, 50), st.floats(1e-6, 0.3), st.sampled_from([0.0, BEND]))
def test_the_staircase_covers_uniform_numbers_with_confidence(ratio, alpha, bend):
    """P(some k: Q_1 >= a_k, Q_2 >= b_k): strips of Q_1, between the levels, times what Q_2 needs there."""
    first, second = corners(ratio, alpha, bend)
    assert (np.diff(first) <= 1e-15).all()
    assert (np.diff(second) >= -1e-15).all()
    strips = np.append(1 - first[0], -np.diff(first))
    assert (strips * (1 - second)).sum() >= 1 - alpha - 1e-12
    assert (strips * (1 - second)).sum() <= 1 - 0.9 * alpha


sizes = st.tuples(st.integers(1, 300), st.integers(1, 3000))
thresholds = st.sampled_from([0.01, 0.05, 0.2])


@pytest.mark.parametrize("bend", [0.0, BEND])
@pytest.mark.parametrize("alpha", [0.001, 0.2])
def test_pairs_beyond_a_threshold_are_found_whether_or_not_few_corners_tell(alpha, bend):
    rng = np.random.default_rng(0)
    n = tuple((10 ** rng.uniform(0, 5, (2, 600))).astype(np.int64))
    x = tuple(rng.binomial(of, rate) for of, rate in zip(n, (0.82, 0.8), strict=True))
    steps = staircase(x, n, alpha, bend)
    runs = [staircase(x, n, alpha, bend, run=run) for run in RUNS]
    assert (np.diff([*runs, steps], axis=0) <= 1e-12).all()
    for threshold in np.quantile(steps, [0.1, 0.5]).tolist():
        at, found = beyond(x, n, threshold, alpha, bend)
        assert all(0 < (run <= threshold).mean() < (steps <= threshold).mean() for run in runs)
        assert (at.tolist(), found.tolist()) == (np.flatnonzero(steps > threshold).tolist(), steps[at].tolist())


@settings(max_examples=40, deadline=None)
@given(sizes, thresholds, st.floats(1e-6, 0.2), st.floats(0.01, 1))
def test_the_least_that_passes_is_the_first_of_all(n, threshold, alpha, strictness):
    """By looking at every table."""
    n_1, n_2 = n[0] % 40 + 1, n[1] % 200 + 1
    level = alpha * strictness
    x, rows = all_tables(n_1, n_2)
    levels = tuple(part[::13] for part in corners(1.0, alpha, BEND))
    passes = mover_limits_one_sided(x, rows, level) <= threshold + ROUNDING
    upper = clopper_pearson(x[0][:, None], n_1, levels[0])[1] - clopper_pearson(x[1][:, None], n_2, levels[1])[0]
    passes |= upper.max(axis=1) <= threshold + ROUNDING
    passes = passes.reshape(n_1 + 1, n_2 + 1)
    first = np.where(passes.any(axis=1), passes.argmax(axis=1), n_2 + 1)
    assert (_least_passing(np.arange(n_1 + 1), n_1, n_2, threshold, level, levels) == first).all()


def rates_below(most):
    """Two rates, as far apart from 0 and from each other as the limits of rows are."""
    low = st.sampled_from([0.0, 1e-6, 1e-3]) | st.floats(1e-9, 0.99 * most)
    return low.flatmap(lambda one: st.tuples(st.just(one), st.just(most) | st.floats(one + 1e-9, most)))


def staircase_of_tables(data, n_1, n_2):
    """Any tables that the search could be asked for: x_1 from all, the least x_2 growing with it."""
    middle = data.draw(st.floats(-0.3, 1.3))
    bend = data.draw(st.floats(0, 2))
    x = np.arange(n_1 + 1)
    return x, np.clip(np.round(n_2 * (middle + (x / n_1) ** (bend + 0.1) - 0.5)), 0, n_2 + 1).astype(np.int64)


@settings(max_examples=150, deadline=None)
@given(sizes, thresholds, st.integers(1, 40), st.data())
def test_between_two_rates_no_probability_is_larger_than_the_bound(n, threshold, parts, data):
    x, least = staircase_of_tables(data, *n)
    low, high = data.draw(rates_below(1 - threshold))
    ends = np.linspace(low, high, parts + 1)
    bounds = _bounds(ends, probability(x, least, n, threshold, ends), n, threshold)
    inside = np.linspace(ends[:-1], ends[1:], 101).T
    found = probability(x, least, n, threshold, inside.ravel()).reshape(inside.shape)
    assert (found.max(axis=1) <= bounds + 1e-11).all()


@settings(max_examples=60, deadline=None)
@given(sizes, thresholds, st.floats(0.001, 0.2), st.data())
def test_the_largest_probability_is_never_less_than_it_is_and_hardly_more(n, threshold, enough, data):
    x, least = staircase_of_tables(data, *n)
    low, high = data.draw(rates_below(1 - threshold))
    p = np.concatenate([np.linspace(low, high, 2000), low + (high - low) * np.geomspace(1e-9, 1e-2, 100)])
    true = probability(x, least, n, threshold, p).max()
    found = largest(x, least, n, threshold, (low, high), enough)
    if found <= enough:
        assert true <= found + 1e-11
    else:
        assert true > 0.995 * enough


@settings(max_examples=60, deadline=None)
@given(cell, cell, st.sampled_from([0.02, 0.1, 0.3]), st.sampled_from([0.001, 0.05, 0.2]))
def test_the_error_of_a_pass_is_that_of_all_tables_that_speak_as_much_against_the_threshold(a, b, threshold, alpha):
    """By the rank of every table, and over a fine grid of the rates that the rows leave possible."""
    (x_1, n_1), (x_2, n_2) = (a[0] % 61, a[1] % 61 + 60), (b[0] % 81, b[1] % 81 + 80)
    found = error_of_pass(x_1, n_1, x_2, n_2, threshold, alpha)
    x, rows = all_tables(n_1, n_2)
    own = mover_limits_one_sided((np.array([x_1]), np.array([x_2])), (np.array([n_1]), np.array([n_2])), alpha)
    if own > threshold:
        assert found == 1
        return
    low_level, high_level = 1e-15, alpha
    for _ in range(60):
        level = np.sqrt(low_level * high_level)
        limit = mover_limits_one_sided((np.array([x_1]), np.array([x_2])), (np.array([n_1]), np.array([n_2])), level)
        low_level, high_level = (low_level, level) if limit <= threshold + ROUNDING else (level, high_level)
    as_much = mover_limits_one_sided(x, rows, high_level * (1 + 1e-9)) <= threshold + ROUNDING
    spent = SPENT * alpha
    before = staircase(x, rows, alpha - spent, BEND) <= threshold
    if before.reshape(n_1 + 1, n_2 + 1)[x_1, x_2]:
        assert found == pytest.approx(alpha)
        return
    as_much |= before
    limits = [clopper_pearson(of, total, spent / 4) for of, total in ((x_1, n_1), (x_2, n_2))]
    low = max(float(limits[1][0]), float(limits[0][0]) - threshold, 0.0)
    high = min(float(limits[1][1]), float(limits[0][1]) - threshold, 1 - threshold)
    if low > high:
        assert found == spent
        return
    p = np.linspace(low, high, 1000)
    first = stats.binom.pmf(np.arange(n_1 + 1)[:, None], n_1, np.minimum(p + threshold, 1))
    second = stats.binom.pmf(np.arange(n_2 + 1)[:, None], n_2, p)
    true = spent + ((as_much.reshape(n_1 + 1, n_2 + 1) @ second) * first).sum(axis=0).max()
    if found <= alpha:
        assert true <= found + 1e-11
    else:
        assert true > 0.99 * alpha


def mover_limits_one_sided(x, n, level):
    sides = [(a / b, *clopper_pearson(a, b, level)) for a, b in zip(x, n, strict=True)]
    return mover(*sides[0], *sides[1])[2]


def test_cells_of_a_million_rows_are_judged_by_the_staircase():
    x, n = (np.array([100_000]), np.array([101_000])), (np.array([10**6]), np.array([10**6]))
    upper = mover_limits(x, n, 0.05)
    steps = staircase(x[::-1], n, 0.05)
    assert upper < steps < 1.02 * upper
    between = float((upper[0] + steps[0]) / 2)
    assert confirmed(upper, x, n, threshold=between, alpha=0.05) == pytest.approx(steps)
    assert confirmed(upper, x, n, threshold=float(steps[0]), alpha=0.05) == upper
