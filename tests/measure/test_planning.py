import numpy as np
import pytest

from edgefair.measure.planning import (
    Subjects,
    assumed_decisions,
    draw_decisions,
    draw_tables,
    power_curve,
    smallest_threshold,
    with_reference,
)

RATES = np.array([0.1, 0.8])
WORSE = np.array([False, True])


def test_the_worse_group_has_lower_rates_and_higher_ones_where_a_rate_is_below_the_gap():
    chance = assumed_decisions(0.8, 0.02, 2, 0.05)
    assert chance[0, :, 1] == pytest.approx([0.02, 0.8])
    assert chance[1, :, 1] == pytest.approx([0.07, 0.75])
    assert assumed_decisions(0.7, 0.1, 3, 0.1)[1] == pytest.approx(np.where(np.eye(3) > 0, 0.6, 0.2))


@pytest.mark.parametrize("classes", [2, 4])
def test_flips_go_both_ways_alike_so_both_models_have_the_assumed_rates(classes):
    chance = assumed_decisions(0.8, 0.1, classes, 0.02)
    both = with_reference(chance, 0.03)
    assert both.sum(axis=-1) == pytest.approx(chance)
    assert both.sum(axis=-2) == pytest.approx(chance)
    assert 1 - np.trace(both, axis1=-2, axis2=-1) == pytest.approx(np.full((2, classes), 0.03))


def test_no_more_flip_than_if_both_models_decided_independently():
    chance = assumed_decisions(0.8, 0.1, 2, 0.0)
    assert with_reference(chance, 1.0) == pytest.approx(chance[..., :, None] * chance[..., None, :])


def test_drawn_tables_have_the_rows_and_the_rates():
    n = np.array([[30_000, 50_000], [40_000, 20_000]])
    both = with_reference(assumed_decisions(0.8, 0.1, 2, 0.05), 0.02)
    table = draw_tables(n, WORSE, both, np.random.default_rng(0))
    assert np.array_equal(table.sum(axis=(2, 3)), n)
    assert table / n[:, :, None, None] == pytest.approx(both, abs=0.01)


def test_subjects_are_drawn_with_all_their_rows():
    codes = np.array([2, 0, 2, 1, 2, 0])
    rows, who = Subjects.of(codes).resampled(3.0, np.random.default_rng(1))
    assert len(np.unique(who)) == 9
    for subject in range(9):
        mine = rows[who == subject]
        assert len(set(codes[mine])) == 1
        assert sorted(mine) == list(np.flatnonzero(codes == codes[mine[0]]))


def test_decisions_of_a_subject_have_the_correlation_and_the_rates():
    rng, icc = np.random.default_rng(2), 0.3
    subject = np.repeat(np.arange(40_000), 2)
    label, worse = np.ones_like(subject), np.zeros(len(subject), dtype=bool)
    both = with_reference(assumed_decisions(0.8, 0.1, 2, 0.0), 0.1)
    before, after = draw_decisions(subject, label, worse, both, icc=icc, rng=rng)
    assert after.mean() == pytest.approx(0.8, abs=0.01)
    assert (before != after).mean() == pytest.approx(0.1, abs=0.01)
    for found in (after, before != after):
        pairs = found.reshape(-1, 2)
        assert np.corrcoef(pairs[:, 0], pairs[:, 1])[0, 1] == pytest.approx(icc, abs=0.03)


@pytest.mark.parametrize("guess", [1.0, 90.0, 10_000.0])
def test_the_size_with_a_power_is_found_from_any_guess(guess):
    rng = np.random.default_rng(3)
    curve = power_curve(
        lambda size: rng.random() < 1 / (1 + (100 / size) ** 4), 0.8, guess=guess, least=1, most=1e6, trials=1200
    )
    assert curve.size_at(0.8) == pytest.approx(100 * 4 ** (1 / 4), rel=0.1)


def test_a_power_that_no_size_has_is_absent_and_one_that_all_have_is_the_least():
    assert power_curve(lambda _: False, 0.8, guess=10, least=1, most=1000, trials=120).size_at(0.8) is None
    assert power_curve(lambda _: True, 0.8, guess=10, least=7, most=1000, trials=120).size_at(0.8) == 7


def test_the_smallest_threshold_is_the_limit_of_the_expected_counts():
    n = np.full((2, 2), 800)
    rate = np.sqrt(2 * 0.8 * 0.2 / 800)
    assert smallest_threshold(n, RATES, alpha=0.05) == pytest.approx(1.645 * rate, rel=0.05)
