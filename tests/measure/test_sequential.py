"""Levels of several looks: published constants, the error that they add up to, and small cells by enumeration."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom

from edgefair.measure.bounds import absolute, clopper_pearson, mover
from edgefair.measure.exact import confirmed
from edgefair.measure.sequential.levels import DELTA, FRACTIONS, LOOKS, boundary, crossing, levels
from edgefair.measure.sequential.looks import units_at

# Two-sided constants of Jennison & Turnbull 2000: tables 2.1 (Pocock), 2.3 (O'Brien & Fleming), 2.9 (Wang & Tsiatis).
PUBLISHED = [
    (2, 0.5, 0.05, 2.178), (3, 0.5, 0.05, 2.289), (4, 0.5, 0.05, 2.361), (5, 0.5, 0.05, 2.413),
    (5, 0.5, 0.01, 2.986), (2, 0.0, 0.05, 1.977), (3, 0.0, 0.05, 2.004), (4, 0.0, 0.05, 2.024),
    (5, 0.0, 0.05, 2.040), (2, 0.25, 0.05, 2.038), (3, 0.25, 0.05, 2.083), (4, 0.25, 0.05, 2.113),
    (5, 0.25, 0.05, 2.136),
]  # fmt: skip
ALPHAS = (1e-9, 0.001, 0.01, 0.05, 0.2, 0.49)


@pytest.mark.parametrize(("looks", "delta", "alpha", "constant"), PUBLISHED)
def test_constants_are_those_of_the_published_tables(looks, delta, alpha, constant):
    """Of two-sided tests, which cross the other limit too with a probability below 1e-5."""
    fractions = np.arange(1, looks + 1) / looks
    assert boundary(alpha / 2, fractions, delta)[-1] == pytest.approx(constant, abs=6e-4)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_all_looks_together_spend_alpha_and_no_more(alpha):
    passing = np.array([level.passing for level in levels(alpha)])
    bounds = boundary(alpha, FRACTIONS, DELTA)
    assert crossing(bounds, FRACTIONS) == pytest.approx(alpha, rel=1e-6)
    assert passing == pytest.approx(ndtr(-bounds), rel=1e-5)
    assert (np.diff(passing) > 0).all()
    assert sum(level.failing for level in levels(alpha)) <= alpha * (1 + 1e-5)
    assert all(level.failing <= level.passing for level in levels(alpha))


def test_the_integral_is_that_of_simulated_sums():
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(400_000, LOOKS)) / np.sqrt(LOOKS)
    scores = np.cumsum(steps, axis=1) / np.sqrt(FRACTIONS)
    bounds = boundary(0.05, FRACTIONS, DELTA)
    crossed = (scores >= bounds).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 400_000))


def test_one_look_is_the_level_itself():
    assert ndtr(-boundary(0.05, [1.0], DELTA)) == pytest.approx([0.05])


def test_fail_at_the_levels_of_pass_would_err_too_often():
    """Why FAIL has levels of its own: of 50 comparisons, limits at alpha_k / 50 spend a quarter more than alpha."""
    quantile = NormalDist().inv_cdf
    far = [-quantile(level.passing / 50) for level in levels(0.05)]
    assert 50 * crossing(far, FRACTIONS) > 1.2 * 0.05
    near = [-quantile(level.failing / 50) for level in levels(0.05)]
    assert 50 * crossing(near, FRACTIONS) <= 0.05


def passing_tables(n_1, n_2, tau, level):
    """Which numbers of successes pass at a level: bool [n_1 + 1, n_2 + 1]."""
    found = np.zeros((n_1 + 1, n_2 + 1), dtype=bool)
    z = NormalDist().inv_cdf(1 - level)
    if min(n_1, n_2) < np.ceil(z * z * (1 - tau) / tau):
        return found
    x_1, x_2 = (part.ravel() for part in np.indices(found.shape))
    n = np.full_like(x_1, n_1), np.full_like(x_2, n_2)
    limits = [clopper_pearson(x, rows, level) for x, rows in zip((x_1, x_2), n, strict=True)]
    upper = absolute(*mover(x_1 / n_1, *limits[0], x_2 / n_2, *limits[1]))[2]
    within = upper <= tau
    x = x_1[within], x_2[within]
    within[within] = confirmed(upper[within], x, tuple(r[: len(x[0])] for r in n), threshold=tau, alpha=level) <= tau
    return within.reshape(found.shape)


@pytest.mark.parametrize(("n", "tau", "alpha"), [((60, 60), 0.2, 0.2), ((45, 90), 0.2, 0.2), ((80, 80), 0.15, 0.1)])
def test_small_cells_pass_falsely_with_at_most_alpha_at_any_look(n, tau, alpha):
    """Enumerated: the law of both numbers of successes is carried from look to look."""
    regions = [passing_tables(*(units_at(k + 1, m) for m in n), tau, levels(alpha)[k].passing) for k in range(LOOKS)]
    errors = []
    for rate in (0.01, 0.1, 0.3, 0.5):
        law, total = np.ones((1, 1)), 0.0
        for region in regions:
            sides = [
                binom.pmf(np.arange(now)[:, None] - np.arange(before), now - before, p)
                for now, before, p in zip(region.shape, law.shape, (rate + tau, rate), strict=True)
            ]
            law = sides[0] @ law @ sides[1].T
            total += law[region].sum()
            law[region] = 0.0
        errors.append(total)
    assert 0 < max(errors) <= alpha
