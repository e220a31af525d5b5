"""When a gate counts as kept on validation rows, of which there are few and which many trials look at."""

import pytest

from edgefair.decision.gates import FLOOR, LATENCY, PAIRED
from edgefair.decision.verdict import Gate, Outcome
from edgefair.workflow.bench import _kept


def gate(outcome, estimate, upper, *, name=PAIRED, threshold=0.05, lower=None):
    return Gate(name, outcome, "rate", estimate, lower, upper, threshold, "")


DENSE = gate(Outcome.PASS, 0.0, 0.01)


def test_a_pass_counts_for_the_recipe_and_for_a_later_trial_only_with_its_farther_limit():
    near, far = gate(Outcome.PASS, 0.03, 0.045), gate(Outcome.PASS, 0.03, 0.038)
    assert _kept(near, DENSE, 0.5)
    assert not _kept(near, DENSE, 0.5, 1.8), "0.03 + 1.8 * 0.015 is beyond 0.05"
    assert _kept(far, DENSE, 0.5, 1.8)


def test_an_estimate_within_the_aim_counts_where_the_farther_limit_does_not():
    assert _kept(gate(Outcome.PASS, 0.02, 0.045), DENSE, 0.5, 1.8)
    assert _kept(gate(Outcome.INCONCLUSIVE, 0.02, 0.07), DENSE, 0.5, 1.8)
    assert not _kept(gate(Outcome.INCONCLUSIVE, 0.03, 0.07), DENSE, 0.5)


def test_where_the_rows_cannot_tell_of_the_dense_model_either_the_threshold_itself_is_the_aim():
    dense = gate(Outcome.INCONCLUSIVE, 0.04, 0.08)
    assert _kept(gate(Outcome.INCONCLUSIVE, 0.045, 0.08), dense, 0.5)
    assert not _kept(gate(Outcome.INCONCLUSIVE, 0.055, 0.08), dense, 0.5)


@pytest.mark.parametrize("stretch", [1.0, 1.8])
def test_a_failure_is_never_kept_whatever_its_estimate(stretch):
    assert not _kept(gate(Outcome.FAIL, 0.0, 0.0), DENSE, 0.5, stretch)


def test_a_floor_is_kept_by_its_estimate_and_what_was_not_measured_cannot_be_mended():
    assert _kept(gate(Outcome.PASS, 0.8, 0.82, name=FLOOR, threshold=0.75, lower=0.76), DENSE, 0.5, 1.8)
    assert not _kept(gate(Outcome.INCONCLUSIVE, 0.74, 0.8, name=FLOOR, threshold=0.75, lower=0.7), DENSE, 0.5)
    assert _kept(gate(Outcome.INCONCLUSIVE, None, None, name=LATENCY), DENSE, 0.5, 1.8)
