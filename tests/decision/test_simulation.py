"""The figures of docs/verdict-statistics.md, simulated with fixed seeds: short always, long with `-m long`.

Tolerances are three standard errors of the simulation.
"""

import numpy as np
import pytest

from benchmarks.false_pass.false_fail import at_all_thresholds, outcome_of
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.verdict import Outcome
from edgefair.probe.bundles.gates import ABSOLUTE, ACCURACY_DROP, PAIRED
from tests.decision.helpers_decision import counts_of, paired_of, policy

RATES = np.array([0.1, 0.8])
SIZES = [pytest.param(150, id="short"), pytest.param(10_000, id="long", marks=pytest.mark.long)]


def audits(n, gap, repeats, seed):
    """Counts [groups, labels, 2] of simulated audits: group 0's TPR is lower by `gap`."""
    rng = np.random.default_rng(seed)
    p = np.tile(RATES, (len(n), 1))
    p[0, 1] -= gap
    for x in rng.binomial(n, p, size=(repeats, *n.shape)):
        yield np.stack([n - x, x], axis=2)


def error(share, repeats):
    return 3 * np.sqrt(share * (1 - share) / repeats)


def gaps(table):
    rate = table[:, :, 1] / table.sum(axis=2)
    return np.ptp(rate, axis=0).max()


@pytest.mark.parametrize("repeats", SIZES)
def test_the_estimated_gap_of_a_fair_model_is_biased_upwards(repeats):
    found = np.array([gaps(table) for table in audits(np.full((4, 2), 200), 0.0, repeats, seed=1)])
    assert found.mean() == pytest.approx(0.064, abs=3 * found.std() / np.sqrt(repeats) + 0.001)
    assert (found > 0.05).mean() == pytest.approx(0.71, abs=error(0.71, repeats) + 0.005)


@pytest.mark.parametrize("repeats", SIZES)
def test_the_point_rule_tosses_a_coin_at_the_threshold(repeats):
    rules = policy(2, rule="point")
    tables = audits(np.full((2, 2), 2000), 0.05, repeats, seed=2)
    passed = [decide(counts_of(table), rules).outcome is Outcome.PASS for table in tables]
    assert np.mean(passed) == pytest.approx(0.5, abs=error(0.5, repeats) + 0.02)


@pytest.mark.parametrize("repeats", SIZES)
@pytest.mark.parametrize(
    "n",
    [
        np.full((2, 2), 1000),
        np.full((4, 2), 1000),
        np.full((8, 2), 1000),
        np.array([[5000, 400], [2000, 3000]]),
        np.array([[5000, 400], [2000, 3000], [300, 900], [8000, 8000]]),
        np.array([[5000, 400], [2000, 3000], [300, 900], [8000, 8000]] * 2),
    ],
    ids=["2", "4", "8", "2 unequal", "4 unequal", "8 unequal"],
)
def test_at_the_threshold_an_unfair_model_passes_with_at_most_alpha(n, repeats):
    rules = policy(len(n), min_cell_rows=1)
    tables = audits(n, 0.05, repeats, seed=3)
    passed = np.mean([decide(counts_of(table), rules).gate(ABSOLUTE).outcome is Outcome.PASS for table in tables])
    assert passed <= 0.05 + error(0.05, repeats)


@pytest.mark.parametrize("repeats", SIZES)
@pytest.mark.parametrize("groups", [2, 4, 8])
def test_at_the_threshold_a_model_is_condemned_with_at_most_alpha(groups, repeats):
    rules = policy(groups)
    tables = audits(np.full((groups, 2), 2000), 0.05, repeats, seed=4)
    failed = np.mean([decide(counts_of(table), rules).gate(ABSOLUTE).outcome is Outcome.FAIL for table in tables])
    assert failed <= 0.05 + error(0.05, repeats)


@pytest.mark.parametrize("repeats", SIZES)
@pytest.mark.parametrize(
    "rows",
    [
        [3000] * 2,
        [3000] * 4,
        [3000] * 8,
        [900, 5000],
        [900, 5000, 2000, 700],
        [900, 5000, 2000, 700, 3000, 600, 4000, 800],
    ],
    ids=["2", "4", "8", "2 unequal", "4 unequal", "8 unequal"],
)
def test_at_the_threshold_the_paired_gate_passes_with_at_most_alpha(rows, repeats):
    rng = np.random.default_rng(5)
    rules = policy(len(rows), max_eo_increase=0.02, min_cell_rows=1)
    shifts = [0.02, *[0.0] * (len(rows) - 1)]
    passed = []
    for _ in range(repeats):
        table = [
            [
                rng.multinomial(n, [0.895, 0.005, 0.005, 0.095]).reshape(2, 2),
                rng.multinomial(n, [0.195, 0.005, 0.005 + shift, 0.795 - shift]).reshape(2, 2),
            ]
            for n, shift in zip(rows, shifts, strict=True)
        ]
        paired = paired_of(table)
        verdict = decide(Evidence(counts=paired.candidate, paired=paired), rules)
        passed.append(verdict.gate(PAIRED).outcome is Outcome.PASS)
    assert np.mean(passed) <= 0.05 + error(0.05, repeats)


@pytest.mark.parametrize("repeats", SIZES)
@pytest.mark.parametrize("flipped", [0.2, 0.8])
def test_however_many_rows_flip_a_change_at_the_threshold_passes_with_at_most_alpha(flipped, repeats):
    rng = np.random.default_rng(8)
    n, rules = 1500, policy(max_eo_gap=1, max_eo_increase=0.05, max_accuracy_drop=0.025, min_balanced_accuracy=0)
    passed = []
    for _ in range(repeats):
        table = []
        for loss in (0.05, 0.0):
            kept = (1 - flipped) / 2
            flips = [kept, (flipped - loss) / 2, (flipped + loss) / 2, kept]
            table.append([np.array([[1, 0], [0, 0]]), rng.multinomial(n, flips).reshape(2, 2)])
        paired = paired_of(table)
        verdict = decide(
            Evidence(counts=paired.candidate, paired=paired), rules.model_copy(update={"min_cell_rows": 1})
        )
        passed.append([verdict.gate(gate).outcome is Outcome.PASS for gate in (PAIRED, ACCURACY_DROP)])
    assert (np.mean(passed, axis=0) <= 0.05 + error(0.05, repeats)).all()


@pytest.mark.parametrize("repeats", SIZES)
def test_the_interval_of_each_comparison_covers_the_true_difference(repeats):
    covered = []
    for table in audits(np.full((2, 2), 800), 0.03, repeats, seed=6):
        tpr = next(item for item in decide(counts_of(table), policy()).comparisons if item.measure == "TPR")
        covered.append(tpr.upper >= 0.03)
    assert np.mean(covered) >= 0.95 - error(0.05, repeats)


@pytest.mark.parametrize("repeats", SIZES)
def test_a_release_that_is_at_all_its_thresholds_fails_with_at_most_alpha(repeats):
    """Twelve gates, each at its threshold; the audit found 0.125 where each had an error of its own."""
    rules, rng = at_all_thresholds(0.05), np.random.default_rng(9)
    outcomes = [outcome_of(rules, rng) for _ in range(repeats)]
    assert np.mean([outcome is Outcome.FAIL for outcome in outcomes]) <= 0.05 + error(0.05, repeats)
    assert np.mean([outcome is Outcome.PASS for outcome in outcomes]) <= 0.05
