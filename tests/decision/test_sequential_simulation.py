"""A model that breaks a requirement by a hair passes at any of five looks with at most alpha: a short simulation.

The long one is `python -m benchmarks.false_pass --only sequential`. Bounds are three standard errors wide.
"""

import numpy as np
import pytest

from benchmarks.false_pass.clustered import SUBJECTS, TAU, unfair_rows
from benchmarks.false_pass.sequential import BEYOND, Audit
from edgefair.decision.verdict import Outcome
from edgefair.measure.sequential.levels import levels
from edgefair.measure.sequential.looks import units_at
from tests.measure.test_cluster_simulation import decided

RUNS = 120


@pytest.mark.parametrize(
    "audit",
    [
        pytest.param(Audit(2, 400, 0.2, 0.02, 0.05 + BEYOND), id="two groups"),
        pytest.param(Audit(4, 400, 0.2, 0.1, 0.05 + BEYOND), id="four groups"),
        pytest.param(Audit(2, 600, 0.2, 0.4, 0.05 + BEYOND, flips=0.2), id="added by compression"),
    ],
)
def test_false_pass_over_all_looks_is_at_most_alpha(audit):
    rng = np.random.default_rng(0)
    passed = np.mean([audit.passes(rng) for _ in range(RUNS)])
    assert passed <= audit.alpha + 3 * np.sqrt(audit.alpha * (1 - audit.alpha) / RUNS)


def test_false_fail_over_all_looks_is_at_most_alpha():
    """Its own levels are parted between looks, so it errs less than PASS may."""
    rng = np.random.default_rng(1)
    audit = Audit(2, 1000, 0.2, 0.1, 0.05 - BEYOND)
    failed = np.mean([audit.fails(rng) for _ in range(RUNS)])
    assert failed <= 0.2 + 3 * np.sqrt(0.2 * 0.8 / RUNS)


def test_a_fair_model_needs_less_than_half_of_4000_rows_a_cell():
    """On average 1,910 (standard error below 60): 2.1 times fewer."""
    rng = np.random.default_rng(2)
    found = [Audit(2, 4000, 0.05, 0.1, 0.0).judged(rng) for _ in range(60)]
    assert all(outcome is Outcome.PASS for outcome, _ in found)
    assert np.mean([share for _, share in found]) < 0.5 + 0.02


@pytest.mark.parametrize(("icc", "sizes", "giant"), [(0.9, "geometric", 0), (0.5, "pareto", 0.5)])
def test_subjects_of_any_size_pass_falsely_with_at_most_alpha_at_any_look(icc, sizes, giant):
    """Every look has its share of the subjects of a cell, in random order."""
    rng = np.random.default_rng(3)

    def passes():
        group, label, event, who = unfair_rows(rng, icc, sizes, giant)
        place = np.concatenate([rng.permutation(SUBJECTS) for _ in range(4)])[who]
        for look, level in enumerate(levels(0.2), start=1):
            seen = place < units_at(look, SUBJECTS)
            person = np.unique(who[seen], return_inverse=True)[1]
            rules = {"alpha": level.passing, "max_eo_gap": TAU}
            if decided(rules, group[seen], label[seen], event[seen], person).outcome is Outcome.PASS:
                return True
        return False

    assert np.mean([passes() for _ in range(40)]) <= 0.2 + 3 * np.sqrt(0.2 * 0.8 / 40)
