"""When a gate counts as kept on validation rows, of which there are few and which many trials look at."""

from dataclasses import replace

import numpy as np
import pytest

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.recording.corrections import recorded_gap, recorded_threshold
from edgefair.decision.trial import is_kept, limit_stretch, shortfall
from edgefair.decision.verdict import Gate, Outcome
from edgefair.probe.bundles.gates import ABSOLUTE, COLLAPSE, FLOOR, GROUP_ACCURACY, GROUP_DROP, LATENCY, PAIRED
from tests.decision.helpers_decision import paired_of, policy


def gate(outcome, estimate, upper, *, name=PAIRED, threshold=0.05, lower=None):
    return Gate(name, outcome, "rate", estimate, lower, upper, threshold, "")


DENSE = gate(Outcome.PASS, 0.0, 0.01)


def test_a_pass_counts_for_the_recipe_and_for_a_later_trial_only_with_its_farther_limit():
    near, far = gate(Outcome.PASS, 0.03, 0.045), gate(Outcome.PASS, 0.03, 0.038)
    assert is_kept(near, DENSE, aim=0.5)
    assert not is_kept(near, DENSE, aim=0.5, stretch=1.8), "0.03 + 1.8 * 0.015 is beyond 0.05"
    assert is_kept(far, DENSE, aim=0.5, stretch=1.8)


def test_an_estimate_within_the_aim_counts_where_the_farther_limit_does_not():
    assert is_kept(gate(Outcome.PASS, 0.02, 0.045), DENSE, aim=0.5, stretch=1.8)
    assert is_kept(gate(Outcome.INCONCLUSIVE, 0.02, 0.07), DENSE, aim=0.5, stretch=1.8)
    assert not is_kept(gate(Outcome.INCONCLUSIVE, 0.03, 0.07), DENSE, aim=0.5)


def test_where_the_rows_cannot_tell_of_the_dense_model_either_the_threshold_itself_is_the_aim():
    dense = gate(Outcome.INCONCLUSIVE, 0.04, 0.08)
    assert is_kept(gate(Outcome.INCONCLUSIVE, 0.045, 0.08), dense, aim=0.5)
    assert not is_kept(gate(Outcome.INCONCLUSIVE, 0.055, 0.08), dense, aim=0.5)


@pytest.mark.parametrize("stretch", [1.0, 1.8])
def test_a_failure_is_never_kept_whatever_its_estimate(stretch):
    assert not is_kept(gate(Outcome.FAIL, 0.0, 0.0), DENSE, aim=0.5, stretch=stretch)


def test_a_floor_is_kept_by_its_estimate_and_what_was_not_measured_cannot_be_mended():
    assert is_kept(gate(Outcome.PASS, 0.8, 0.82, name=FLOOR, threshold=0.75, lower=0.76), DENSE, aim=0.5, stretch=1.8)
    assert not is_kept(gate(Outcome.INCONCLUSIVE, 0.74, 0.8, name=FLOOR, threshold=0.75, lower=0.7), DENSE, aim=0.5)
    assert is_kept(gate(Outcome.INCONCLUSIVE, None, None, name=LATENCY), DENSE, aim=0.5, stretch=1.8)


def test_a_pass_by_the_policys_own_rule_is_one_for_the_recipe_whatever_the_limits_say():
    """Under `rule: point` an estimate within the threshold passes, with a limit beyond it."""
    by_point = gate(Outcome.PASS, 0.04, 0.07)
    assert is_kept(by_point, by_point, aim=0.5)
    assert not is_kept(by_point, by_point, aim=0.5, stretch=1.8)


def test_the_limits_of_many_trials_are_farther_out_and_those_of_one_are_the_policys():
    assert limit_stretch(0.05, 1) == 1.0
    assert limit_stretch(0.05, 40) == pytest.approx(3.023 / 1.645, abs=1e-3)
    assert limit_stretch(0.05, 41) > limit_stretch(0.05, 40)


def test_no_trial_of_many_passes_wrongly_more_often_than_one_may():
    """True value at the threshold, independent trials: the worst case of Bonferroni's bound."""
    alpha, trials, error = 0.05, 20, 0.01
    found = 0.05 + error * np.random.default_rng(0).standard_normal((4000, trials))
    width = 1.645 * error

    def passes(estimate, stretch):
        limit = estimate + width
        outcome = Outcome.PASS if limit <= 0.05 else Outcome.INCONCLUSIVE
        return is_kept(gate(outcome, estimate, limit), DENSE, aim=0.0, stretch=stretch)

    def share(stretch):
        return np.mean([any(passes(value, stretch) for value in row) for row in found.tolist()])

    assert share(limit_stretch(alpha, trials)) <= alpha + 0.01
    assert share(1.0) > 0.5


def test_the_shortfall_is_that_of_the_limit_that_decides_relative_to_the_threshold():
    assert shortfall(gate(Outcome.FAIL, 0.09, 0.1)) == pytest.approx(1.0)
    assert shortfall(gate(Outcome.FAIL, 0.6, 0.65, name=FLOOR, threshold=0.75, lower=0.6)) == pytest.approx(0.2)
    assert shortfall(gate(Outcome.INCONCLUSIVE, None, None, name=LATENCY)) == 1.0


def test_of_two_trials_that_pass_with_the_policys_limits_only_one_is_nearer():
    near, far = gate(Outcome.PASS, 0.03, 0.045), gate(Outcome.PASS, 0.033, 0.048)
    assert not is_kept(near, DENSE, aim=0.5, stretch=1.8)
    assert 0 < shortfall(near, stretch=1.8) < shortfall(far, stretch=1.8)


PAIRS = np.full((2, 2, 2, 2), 5)
PAIRS[:, 0, 0, 0], PAIRS[:, 1, 1, 1] = 9000, 9000
EVIDENCE = Evidence(paired_of(PAIRS).candidate, paired=paired_of(PAIRS))
ASKED = {"max_eo_gap": 0.1, "max_eo_increase": 0.1, "min_group_accuracy": 0.7, "max_group_accuracy_drop": 0.1}
ASKED |= {"metrics": {"false_positive_rate_difference": 0.1}}
CLASSES = ("0", "1")


def test_where_errors_are_declared_an_estimate_aims_at_what_the_recorded_number_must_keep():
    errors = {"labels": {"0": 0.005, "1": 0.01}, "attributes": {"sex": {"g0": 0.02, "g1": 0.01}}}
    told = policy(**ASKED, errors=errors)
    gates = decide(EVIDENCE, told).gates
    kept = {gate.id: recorded_threshold(told, gate, CLASSES) for gate in gates}
    assert kept == pytest.approx(
        {
            ABSOLUTE: 0.1 * (1 - 0.03 - 0.01) - 0.01,
            PAIRED: 0.1 * (1 - 0.03 - 0.01) - 0.02,
            "false_positive_rate_difference": 0.1 * (1 - 0.03 - 0.005) - 0.005,
            COLLAPSE: 2,
            FLOOR: 0.98 * 0.5 + 0.02 + 0.01,
            GROUP_ACCURACY: 0.98 * 0.7 + 0.02 + 0.01,
            GROUP_DROP: 0.98 * 0.1 - 0.02 - 0.02,
        }
    )
    assert kept[ABSOLUTE] == recorded_gap(told, "sex", CLASSES)
    for found in gates:
        if found.id in {ABSOLUTE, GROUP_DROP, GROUP_ACCURACY}:
            worse = -1e-4 if found.direction == "at_least" else 1e-4
            beside = replace(found, outcome=Outcome.INCONCLUSIVE, estimate=kept[found.id] + worse)
            within = replace(beside, estimate=kept[found.id] - worse)
            assert is_kept(within, within, aim=1.0, recorded=kept[found.id])
            assert not is_kept(beside, beside, aim=1.0, recorded=kept[found.id])


def test_without_declared_errors_the_recorded_number_must_keep_the_threshold_itself():
    plain = policy(**ASKED)
    assert all(recorded_threshold(plain, gate, CLASSES) == gate.threshold for gate in decide(EVIDENCE, plain).gates)
