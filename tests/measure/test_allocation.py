"""Which strata get labels: Neyman's rule, and the worst of several rates."""

import numpy as np
import pytest

from edgefair.measure.labels.allocation import LEAST, Wanted, allocate, costs, least_budget, stratify


def test_for_one_rate_labels_are_in_proportion_to_the_root_of_the_cost():
    cost = np.array([[1.0, 4.0, 16.0]])
    np.testing.assert_allclose(allocate(cost, np.array([10_000] * 3), 700), [100, 200, 400], atol=2)


def test_the_largest_of_several_variances_is_made_small():
    cost, rows = np.array([[100.0, 0.0, 4.0], [0.0, 1.0, 4.0]]), np.array([10_000] * 3)
    found = allocate(cost, rows, 1000)
    assert found.sum() == 1000
    worst = (cost / found).sum(axis=1).max()
    tried = np.random.default_rng(0).dirichlet([1, 1, 1], 5000) * 1000
    assert worst < 1.05 * (cost[None] / tried[:, None]).sum(axis=2).max(axis=1).min()


@pytest.mark.parametrize("budget", [20, 21, 57, 999, 1013])
def test_every_stratum_gets_a_few_and_none_more_than_it_has(budget):
    rows = np.array([5, 1000, 8])
    found = allocate(np.array([[1.0, 1e-9, 0.0]]), rows, max(budget, least_budget(rows)))
    assert found.sum() == max(budget, least_budget(rows))
    assert (found >= np.minimum(rows, LEAST)).all()
    assert (found <= rows).all()


def test_rows_that_are_decided_otherwise_or_scored_apart_are_in_other_strata():
    rng = np.random.default_rng(0)
    cell, probability = rng.integers(0, 3, 1000), rng.uniform(0.5, 1, 1000)
    order = rng.permutation(1000).astype(np.uint64)
    stratum = stratify(cell, probability, order, ranges=3)
    assert len(np.unique(stratum)) == 9
    for at in range(9):
        assert len(set(cell[stratum == at])) == 1
    same = np.flatnonzero(cell == 1)
    by_score = stratum[same][np.argsort(probability[same])]
    assert (np.diff(by_score) >= 0).all()


def test_the_cost_of_a_stratum_is_its_variance_by_simulation():
    rng = np.random.default_rng(1)
    rows, share, decision = np.array([4000, 3000]), np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])
    cost = costs(rows, share, decision, [Wanted(np.array([True, True]), 1, 1, 1.0)])
    n = np.array([400, 300])
    hits = rows * rng.binomial(n, share[:, 1], size=(20_000, 2)) / n
    found = np.var(hits[:, 1] / hits.sum(axis=1))
    assert (cost[0] / n).sum() == pytest.approx(found, rel=0.05)
