"""Declared error rates: true differences keep the threshold where recorded ones keep the corrected one."""

import json

import numpy as np
import pytest
from scipy import stats

from edgefair.config import parse_config
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.recording.corrections import TAKEN_AS_TRUE, check_corrections, of_rates
from edgefair.decision.recording.misclassification import Correction, NumberCorrection
from edgefair.decision.verdict import Outcome
from edgefair.errors import PolicyError
from edgefair.probe.bundles.gates import ABSOLUTE, ACCURACY_DROP, FLOOR, PAIRED
from tests.decision.helpers_decision import counts_of, paired_of, policy

WORLDS = 2000


def worlds(rng, low=0.0):
    """True numbers [groups, labels] between `low` and 1, declared rates, and recorded numbers of errors within them."""
    groups, labels = int(rng.integers(2, 6)), int(rng.integers(2, 4))
    true = rng.uniform(low, 1, (groups, labels))
    if rng.random() < 0.5:
        centre = rng.uniform(low, 1, labels)
        true = np.clip(centre + rng.uniform(-0.1, 0.1, true.shape), low, 1)
    most_group, most_label = rng.uniform(0, 0.2, groups), rng.uniform(0, 0.1, labels)
    e = most_group[:, None] * rng.choice([0, 1, rng.random()], true.shape)
    h = most_label * rng.choice([0, 1, rng.random()], true.shape)
    recorded = np.empty_like(true)
    for a, y in np.ndindex(true.shape):
        others = np.delete(true[:, y], a)
        # The corners of all mixtures are mixtures with one other group, and with the ends for wrong labels.
        recorded[a, y] = (
            (1 - e[a, y] - h[a, y]) * true[a, y]
            + e[a, y] * rng.choice(others)
            + h[a, y] * rng.choice([low, 1, rng.uniform(low, 1)])
        )
    return true, recorded, most_group, most_label


def pairs_of(numbers):
    first, second = np.triu_indices(len(numbers), k=1)
    return np.abs(numbers[first] - numbers[second]), first, second


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_recorded_differences_within_the_corrected_threshold_mean_true_ones_within_the_declared(low):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(WORLDS):
        true, recorded, groups, labels = worlds(rng, low)
        correction = Correction.of(groups, labels, width=1 - low)
        largest = pairs_of(true)[0].max(axis=0)
        found, first, second = pairs_of(recorded)
        limits = correction.at(first, second).upper(found[:, :, None])[:, :, 0].max(axis=0)
        assert (largest <= limits + 1e-12).all()
        held += int((limits < 1 - low).any())
    assert held > WORLDS / 2


def test_two_groups_mixed_with_the_declared_rates_lie_on_the_corrected_threshold():
    e = np.array([0.1, 0.05])
    true = np.array([0.8, 0.73])
    recorded = (1 - e) * true + e * true[::-1]
    kept = Correction.of(e, np.zeros(1)).threshold(0.07)[0, 1, 0]
    assert kept == pytest.approx(0.07 * 0.85)
    assert abs(recorded[0] - recorded[1]) == pytest.approx(kept)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_recorded_differences_never_show_more_than_the_largest_true_one(low):
    rng = np.random.default_rng(1)
    for _ in range(WORLDS):
        true, recorded, groups, labels = worlds(rng, low)
        correction = Correction.of(groups, labels, width=1 - low)
        found, first, second = pairs_of(recorded)
        shown = correction.at(first, second).lower(found[:, :, None])[:, :, 0]
        assert (shown.max(axis=0) <= pairs_of(true)[0].max(axis=0) + 1e-12).all()


def test_beside_a_waiver_rows_of_other_groups_may_be_decided_in_any_way():
    rng = np.random.default_rng(2)
    for _ in range(WORLDS):
        true, recorded, groups, labels = worlds(rng)
        correction = Correction.of(groups, labels, unbounded=True)
        (own, first, second), (found, *_) = pairs_of(true), pairs_of(recorded)
        limits = correction.at(first, second)
        known = limits.factor[:, :, 0] > 0
        assert (own <= limits.upper(found[:, :, None])[:, :, 0] + 1e-12)[known].all()
        assert (limits.lower(found[:, :, None])[:, :, 0] <= own + 1e-12)[known].all()


def test_the_worst_true_group_is_no_worse_than_its_corrected_number():
    rng = np.random.default_rng(3)
    for _ in range(WORLDS):
        true, recorded, groups, labels = worlds(rng)
        floor = NumberCorrection(groups, labels.max(), 0.0, 1.0)
        value, worst = recorded.mean(axis=1), true.mean(axis=1).min()
        _, lower, upper = floor.at_least((value, value, value))
        assert lower.min() <= worst + 1e-12
        assert upper.min() >= worst - 1e-12
        true, recorded, groups, labels = worlds(rng, -1.0)
        loss = NumberCorrection(groups, 2 * labels.max(), -1.0, 1.0)
        value, worst = recorded[:, 0], true[:, 0].max()
        _, lower, upper = loss.at_most((value, value, value))
        assert upper.max() >= worst - 1e-12
        assert lower.max() <= worst + 1e-12


def audited(rng, gap, wrong, n=6000):
    """The audit's case: counts of recorded groups, of whose rows a share belongs to the other group."""
    rates = np.array([[0.1, 0.8], [0.1, 0.8 - gap]])
    mixed = (1 - wrong) * rates + wrong * rates[::-1]
    x = rng.binomial(n, mixed)
    return counts_of(np.stack([n - x, x], axis=2))


def test_an_unfair_model_whose_groups_are_mixed_up_passes_at_most_with_alpha_once_that_is_declared():
    rng = np.random.default_rng(4)
    blind, told = policy(), policy(max_eo_gap=0.05, errors={"attributes": {"sex": 0.2}})
    tables = [audited(rng, 0.07, 0.2) for _ in range(300)]
    passed = [np.mean([decide(t, p).gate(ABSOLUTE).outcome is Outcome.PASS for t in tables]) for p in (blind, told)]
    assert passed[0] > 0.18
    assert passed[1] <= 0.01
    tables = [audited(rng, 0.05, 0.2) for _ in range(300)]
    passed = np.mean([decide(t, told).gate(ABSOLUTE).outcome is Outcome.PASS for t in tables])
    assert passed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_no_errors_declared_is_said_and_changes_nothing():
    table = counts_of([[[900, 100], [200, 800]], [[910, 90], [190, 810]]])
    verdict, of_zero = decide(table, policy()), decide(table, policy(errors={"labels": 0, "attributes": {"sex": 0}}))
    assert verdict.assumptions == (TAKEN_AS_TRUE,)
    assert of_zero.assumptions != verdict.assumptions
    assert [gate.to_json() for gate in of_zero.gates] == [gate.to_json() for gate in verdict.gates]
    assert verdict.gate(ABSOLUTE).binding.corrected_threshold is None


def test_declared_errors_widen_every_gate_and_stand_beside_its_threshold():
    pairs = np.full((2, 2, 2, 2), 5)
    pairs[:, 0, 0, 0], pairs[:, 1, 1, 1] = 9000, 9000
    both = paired_of(pairs)
    evidence = Evidence(both.candidate, paired=both)
    asked = {"max_eo_gap": 0.1, "max_eo_increase": 0.1, "max_accuracy_drop": 0.1, "min_group_accuracy": 0.7}
    asked |= {"max_group_accuracy_drop": 0.1, "max_excess_loss": 0.1}
    asked |= {"metrics": {"accuracy_difference": 0.1, "demographic_parity_difference": 0.1}}
    errors = {"labels": {"0": 0.005, "1": 0.01}, "attributes": {"sex": {"g0": 0.02, "g1": 0.01}}}
    plain, told = decide(evidence, policy(**asked)), decide(evidence, policy(**asked, errors=errors))
    assert told.outcome is Outcome.PASS
    assert told.gate(ABSOLUTE).binding.threshold == 0.1
    assert told.gate(ABSOLUTE).binding.corrected_threshold == pytest.approx(0.1 * (1 - 0.03 - 0.01) - 0.01)
    assert told.gate(PAIRED).binding.corrected_threshold == pytest.approx(0.1 * (1 - 0.03 - 0.01) - 0.02)
    assert told.gate(ACCURACY_DROP).upper == pytest.approx(plain.gate(ACCURACY_DROP).upper + 0.02)
    for one, other in zip(plain.gates, told.gates, strict=True):
        if one.lower is not None:
            wider = other.upper > one.upper if one.direction == "at_most" else other.lower < one.lower
            assert wider, one.id
            assert other.estimate == one.estimate
    assert told.gate(FLOOR).lower < plain.gate(FLOOR).lower
    assert "0.02 of 'g0', 0.01 of 'g1'" in told.assumptions[1]
    assert "0.086" in told.assumptions[1]
    json.dumps(told.to_json(), allow_nan=False)


def test_a_model_is_condemned_in_spite_of_errors_that_can_only_hide_its_gap():
    table = counts_of([[[900, 100], [400, 1600]], [[910, 90], [600, 1400]]])
    verdict = decide(table, policy(errors={"attributes": {"sex": 0.1}}))
    assert verdict.gate(ABSOLUTE).outcome is Outcome.FAIL
    assert "the true one between" in verdict.gate(ABSOLUTE).reason


def test_wrong_labels_may_explain_a_gap_and_it_is_not_condemned():
    table = counts_of([[[1800, 200], [400, 1600]], [[1800, 200], [580, 1420]]])
    assert decide(table, policy()).gate(ABSOLUTE).outcome is Outcome.FAIL
    verdict = decide(table, policy(errors={"labels": 0.04}))
    assert verdict.gate(ABSOLUTE).outcome is Outcome.INCONCLUSIVE


def test_an_intersection_is_wrong_where_a_part_of_it_is():
    made = Policy.model_validate(
        {
            "attributes": {"sex": {"groups": ["f", "m"]}, "age": {"groups": ["o", "y"]}, "sex*age": {}},
            "errors": {"attributes": {"sex": {"f": 0.01, "m": 0.02}, "age": 0.03}},
        }
    )
    factor = of_rates(made, "sex*age", ("no", "yes")).factor[:, :, 0]
    assert factor[0, 1:] == pytest.approx([1 - 0.04 - 0.04, 1 - 0.04 - 0.05, 1 - 0.04 - 0.05])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"errors": {"attributes": {"sex": 1.0}}}, "policy.errors.attributes.sex: Input should be less than 1"),
        ({"errors": {"attributes": {"sex": {"g0": -0.1}}}}, "policy.errors.attributes.sex.g0: Input should be greater"),
        ({"errors": {"labels": float("nan")}}, "policy.errors.labels: Input should be"),
        ({"errors": {"labels": "few"}}, "policy.errors.labels: Input should be a valid number"),
        ({"errors": {"attributes": {"sx": 0.1}}}, "did you mean 'sex'"),
        ({"errors": {"attributes": {"sex": {"g0": 0.1, "x": 0.1}}}}, "names the group 'x'"),
        ({"errors": {"attributes": {"sex": {"g0": 0.1}}}}, "no rate for the group 'g1'"),
        ({"errors": {"attributes": {"sex": 0.5}}}, "leave nothing of the threshold"),
        ({"errors": {"labels": 0.05}}, "leave nothing of the threshold"),
        ({"errors": {"labels": 0.01}, "max_accuracy_drop": 0.01}, "policy.max_accuracy_drop"),
        ({"errors": {"labels": 0.01}, "max_eo_increase": 0.01}, "'equalized-odds increase' of 'sex'"),
        ({"errors": {"labels": 0.01}, "metrics": {"predictive_parity_difference": 0.1}}, "predictive_parity"),
        ({"errors": {"labels": 0.04}, "min_group_accuracy": 0.97}, "policy.min_group_accuracy"),
    ],
)
def test_error_rates_that_cannot_be_are_refused_before_anything_is_read(changes, said):
    raw = {
        "data": {"source": "people.csv", "label": "hired", "positive": "yes", "sensitive": ["sex"]},
        "policy": {"attributes": {"sex": {"groups": ["g0", "g1"]}}} | changes,
    }
    with pytest.raises(PolicyError, match=said.replace(".", r"\.")):
        parse_config(raw, base=None)


def test_rates_of_labels_must_be_those_of_the_data():
    made = policy(errors={"labels": {"0": 0.01, "yes": 0.01}})
    check_corrections(made)
    with pytest.raises(PolicyError, match="names the label 'yes'"):
        decide(counts_of([[[9, 1], [2, 8]], [[9, 1], [1, 8]]]), made)


def checked(counts, alpha=0.01):
    """`errors.audited` from (checked, wrong_group, wrong_label) by group and label."""
    keys = ("checked", "wrong_group", "wrong_label")
    cells = {f"g{g}": {str(y): dict(zip(keys, cell, strict=True)) for y, cell in enumerate(row)} for g, row in counts}
    return {"audited": {"alpha": alpha, "cells": {"sex": cells}}}


def checked_everywhere(*cell):
    return [(group, [cell, cell]) for group in range(2)]


def test_rates_of_a_check_are_the_limits_of_its_worst_cells_and_spend_a_part_of_alpha():
    found = [(0, [(400, 2, 0), (300, 9, 1)]), (1, [(500, 0, 0), (200, 1, 3)])]
    asked = policy(max_eo_gap=0.2, errors=checked(found))
    level = 0.01 / 8
    assert asked.errors.known.attributes["sex"]["g0"] == pytest.approx(stats.beta.ppf(1 - level, 10, 291))
    assert asked.errors.known.labels["1"] == pytest.approx(stats.beta.ppf(1 - level, 4, 197))
    told = policy(max_eo_gap=0.2, alpha=0.04, errors=asked.errors.known.model_dump(exclude={"audited"}))
    table = counts_of([[[900, 100], [200, 800]], [[910, 90], [190, 810]]])
    one, other = decide(table, asked), decide(table, told)
    assert [gate.to_json() for gate in one.gates] == [gate.to_json() for gate in other.gates]
    assert (one.alpha, one.policy_digest) == (0.05, asked.digest)
    assert any("a check of 1,400 rows" in item and "spend 0.01 of alpha 0.05" in item for item in one.assumptions)
    look = decide(table, asked, level=0.02, fail_level=0.01)
    assert look.alpha == 0.02
    assert look.gate(ABSOLUTE).upper > one.gate(ABSOLUTE).upper


def test_an_unfair_model_passes_with_alpha_at_most_when_error_rates_are_found_by_a_check():
    rng = np.random.default_rng(5)
    wrong, checks, runs = 0.1, 150, 100
    passed = np.zeros(2)
    for _ in range(runs):
        hits = rng.binomial(checks, wrong, (2, 2))
        found = [(g, [(checks, int(hit), 0) for hit in row]) for g, row in enumerate(hits)]
        estimates = {f"g{g}": row.mean() / checks for g, row in enumerate(hits)}
        table = audited(rng, 0.3, wrong, n=20_000)
        for way, errors in enumerate((checked(found, alpha=0.02), {"attributes": {"sex": estimates}})):
            verdict = decide(table, policy(max_eo_gap=0.3, errors=errors))
            passed[way] += verdict.gate(ABSOLUTE).outcome is Outcome.PASS
    assert passed[0] / runs <= 0.05
    assert passed[1] / runs > 0.08  # as it does where estimates are taken for the rates
    rules = policy(max_eo_gap=0.1, errors=checked(checked_everywhere(3000, 150, 0), alpha=0.02))
    assert decide(audited(rng, 0.0, 0.05, n=20_000), rules).gate(ABSOLUTE).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (checked([(0, [(400, 0, 0)] * 2)]), "errors.audited.cells.sex has no counts of the group 'g1'"),
        (checked([(0, [(400, 0, 0)] * 2), (1, [(400, 0, 0)])]), "cells.sex.g1 has no counts of the label '1'"),
        (checked([(0, [(400, 0, 0)] * 2), (1, [(400, 0, 0)] * 2), (2, [])]), "names the group 'g2'"),
        ({"audited": {"cells": {"age": {}}}}, "names the attribute 'age'"),
        (checked(checked_everywhere(4, 5, 0)), "5 rows are wrong, and 4 were checked"),
        (checked(checked_everywhere(0, 0, 0)), "greater than or equal to 1"),
        (checked(checked_everywhere(4, 0, 0)), "leave nothing of the threshold"),
        (checked(checked_everywhere(9000, 0, 0), alpha=0.05), "errors.audited.alpha is 0.05"),
        (checked(checked_everywhere(9000, 0, 0)) | {"labels": 0.01}, "give one of them"),
    ],
)
def test_a_check_that_leaves_cells_out_or_shows_nothing_is_refused_before_anything_is_read(errors, said):
    raw = {
        "data": {"source": "people.csv", "label": "hired", "positive": "yes", "sensitive": ["sex"]},
        "policy": {"attributes": {"sex": {"groups": ["g0", "g1"]}}, "max_eo_gap": 0.1, "errors": errors},
    }
    with pytest.raises(PolicyError, match=said.replace(".", r"\.")):
        parse_config(raw, base=None)


def test_what_a_check_spends_cannot_be_shared_by_a_sealed_audit():
    with pytest.raises(ValueError, match=r"audit: sealed and errors\.audited contradict"):
        policy(errors=checked(checked_everywhere(9000, 0, 0)), audit="sealed")
