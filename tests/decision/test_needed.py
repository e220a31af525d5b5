"""The rows that a verdict asks for decide the whole gate, not only the pair that it names."""

import datetime

import numpy as np
import pytest

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.verdict import Code, Outcome
from edgefair.probe.bundles.gates import ABSOLUTE, PAIRED
from tests.decision.helpers_decision import binary, counts_of, paired_of, policy

AUDITS = 100
PILOT = (800, 1000, 100, 1000)


def needed(pilot, rules):
    return decide(pilot, rules).gate(ABSOLUTE).binding.rows_needed


def chance(n, rates, rules, seed=0):
    """Share of fresh audits with n rows in every cell that pass the absolute gate; rates [groups, (FPR, TPR)]."""
    rates = np.asarray(rates)
    tables = np.random.default_rng(seed).binomial(n, rates, size=(AUDITS, *rates.shape))
    passed = [decide(counts_of(np.stack([n - x, x], axis=2)), rules).gate(ABSOLUTE).outcome for x in tables]
    return passed.count(Outcome.PASS) / AUDITS


@pytest.mark.parametrize("groups", [2, 4, 8])
def test_the_rows_asked_for_decide_all_groups_with_the_chance_that_is_told(groups):
    rules = policy(groups)
    n = needed(binary(*[PILOT] * groups), rules)
    assert chance(n, [[0.1, 0.8]] * groups, rules) >= 0.75


def test_a_pair_that_differs_and_all_that_do_not_are_asked_for_together():
    rules = policy(4)
    pilot = binary(*[PILOT] * 3, (780, 1000, 100, 1000))
    n = needed(pilot, rules)
    assert chance(n, [[0.1, 0.8]] * 3 + [[0.1, 0.78]], rules) >= 0.75
    assert n > needed(binary(PILOT, (780, 1000, 100, 1000)), policy())


@pytest.mark.parametrize("flips", [0.002, 0.02])
def test_rare_flips_are_counted_as_rare_flips_are(flips):
    rules = policy(4, max_eo_gap=1, max_eo_increase=0.02)
    pilot = paired_of([[[[900, 0], [0, 100]], [[200, 0], [0, 800]]]] * 4)
    pilot.table[:, :, 0, 1] += round(500 * flips)
    pilot.table[:, :, 1, 0] += round(500 * flips)
    n = decide(Evidence(counts=pilot.candidate, paired=pilot), rules).gate(PAIRED).binding.rows_needed
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(AUDITS):
        moved = rng.multinomial(n, [flips / 2, flips / 2, 1 - flips], size=(4, 2))
        table = [[[[n - a - b - 60, a], [b, 60]] for a, b, _ in group] for group in moved]
        paired = paired_of(table)
        verdict = decide(Evidence(counts=paired.candidate, paired=paired), rules)
        passed += verdict.gate(PAIRED).outcome is Outcome.PASS
    assert passed / AUDITS >= 0.75


def test_no_fewer_rows_are_asked_for_than_the_policy_wants_in_a_cell():
    assert needed(binary(PILOT, PILOT), policy(min_cell_rows=5000)) == 5000


def test_a_waived_comparison_asks_for_no_rows():
    pilot = binary(PILOT, (740, 1000, 100, 1000))
    waiver = {"comparison": "sex: TPR, g0 / g1", "reason": "r", "owner": "o", "expires": "2100-01-01"}
    waived = decide(pilot, policy(waivers=[waiver]), today=datetime.date(2026, 1, 1))
    assert needed(pilot, policy()) is None
    assert waived.gate(ABSOLUTE).binding.rows_needed < needed(binary(PILOT, PILOT), policy())


def test_where_another_estimate_is_beyond_the_threshold_no_number_is_promised():
    few = (48, 60, 6, 60)
    pilot = binary((8000, 10000, 1000, 10000), (7460, 10000, 1000, 10000), few)
    rules = policy(3, max_eo_gap=0.06)
    gate = decide(pilot, rules).gate(ABSOLUTE)
    assert (gate.binding.code, gate.binding.rows_needed is None) == (Code.TOO_UNCERTAIN, False)
    gate = decide(pilot, rules.model_copy(update={"max_eo_gap": 0.05})).gate(ABSOLUTE)
    assert gate.outcome is not Outcome.PASS
    assert gate.binding.rows_needed is None
    assert "would decide" not in gate.reason
