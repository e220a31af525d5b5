"""AUC and calibration of a group with limits: they equal what others compute, and cover what is true."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from edgefair.measure.scores import auc_interval, calibration_interval

LEVEL = 0.025
RUNS = 1500
# A coverage of 0.95, three Monte-Carlo errors below.
LEAST = 0.95 - 3 * np.sqrt(0.95 * 0.05 / RUNS)


@pytest.mark.parametrize("seed", range(5))
def test_the_auc_is_mann_whitneys(seed):
    rng = np.random.default_rng(seed)
    score, label = rng.integers(0, 12, 80) / 10, rng.integers(0, 2, 80)
    found = auc_interval(score, label, level=LEVEL)
    of = mannwhitneyu(score[label == 1], score[label == 0])
    assert found.value == pytest.approx(of.statistic / (label.sum() * (1 - label).sum()))
    assert 0 <= found.lower < found.value < found.upper <= 1


def test_the_limits_of_the_auc_have_delongs_error():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 4000)
    score = rng.normal(label, 1)
    # By definition: placements are means over all pairs.
    pairs = (score[label == 1][:, None] > score[label == 0]).astype(float)
    variance = pairs.mean(axis=1).var(ddof=1) / len(pairs) + pairs.mean(axis=0).var(ddof=1) / pairs.shape[1]
    found = auc_interval(score, label, level=LEVEL)
    assert found.upper - found.lower == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.05)


def test_a_group_without_both_labels_has_no_auc():
    assert auc_interval(np.array([0.1, 0.9]), np.array([1, 1]), level=LEVEL) is None
    assert calibration_interval(np.array([0.1]), np.array([1]), level=LEVEL) is None


def test_scores_that_rank_all_rows_rightly_leave_room_below_1():
    label = np.repeat([0, 1], 20)
    found = auc_interval(label.astype(float), label, level=LEVEL)
    assert found.value == found.upper == 1
    assert 0.75 < found.lower < 0.99


@pytest.mark.parametrize("auc", [0.5, 0.8, 0.97])
@pytest.mark.parametrize(("m", "n", "spread"), [(20, 20, 1), (15, 200, 1), (200, 200, 3), (100, 30, 0.3)])
def test_the_limits_of_the_auc_cover_it(auc, m, n, spread):
    rng = np.random.default_rng(1)
    shift = norm.ppf(auc) * np.sqrt(1 + spread**2)
    label = np.repeat([1, 0], [m, n])
    held = 0
    for _ in range(RUNS // 3):
        score = np.concatenate([rng.normal(shift, spread, m), rng.normal(0, 1, n)])
        found = auc_interval(score, label, level=LEVEL)
        held += found.lower <= auc <= found.upper
    assert held / (RUNS // 3) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / (RUNS // 3))


@pytest.mark.parametrize("bias", [0.0, 0.05])
@pytest.mark.parametrize(("rows", "a", "b"), [(50, 2, 2), (300, 0.5, 8), (1000, 1, 60), (200, 30, 70)])
def test_the_limits_of_the_calibration_gap_cover_it(rows, a, b, bias):
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(RUNS):
        rate = rng.beta(a, b, rows)
        label = (rng.random(rows) < rate).astype(np.int64)
        found = calibration_interval(rate + bias, label, level=LEVEL)
        held += found.lower <= bias <= found.upper
    assert held / RUNS >= LEAST
