"""Unfair and useless models whose audit rows belong to subjects of any size pass with at most alpha."""

import itertools
import json
from functools import partial

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit

from benchmarks.false_pass import clustered
from benchmarks.false_pass.clustered import (
    TAU,
    passes,
    rows_in_both_groups,
    rows_that_flip,
    rows_with_both_labels,
    unfair_rows,
)
from edgefair.data.files.table import Categories
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome
from edgefair.errors import PolicyError
from edgefair.measure.bounds import clopper_pearson
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design
from edgefair.measure.paired import PairedCounts
from edgefair.probe.bundles.gates import ABSOLUTE, ACCURACY_DROP, FLOOR, GROUP_ACCURACY
from edgefair.workflow.measurement.design import design_of

ALPHA = 0.05


def decided(rules, *rows):
    return clustered.decided({"max_eo_gap": TAU} | rules, *rows)


def most(repeats):
    """Three Monte-Carlo standard errors above alpha."""
    return ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / repeats)


CONFIGURATIONS = list(itertools.product(clustered.ICCS, clustered.SIZES, clustered.GIANTS))
SHORT = [(0.0, "pareto", 0), (0.1, "geometric", 0.5), (0.5, "equal", 0.2), (0.9, "pareto", 0), (0.9, "equal", 0.9)]


@pytest.mark.parametrize("counted", ["people", "rows"])
@pytest.mark.parametrize(
    ("configuration", "repeats"),
    [
        *(pytest.param(item, 150, id=f"short-{item}") for item in SHORT),
        *(pytest.param(item, 3000, id=f"long-{item}", marks=pytest.mark.long) for item in CONFIGURATIONS),
    ],
)
def test_an_unfair_model_passes_with_at_most_alpha_whatever_the_sizes_of_subjects(configuration, repeats, counted):
    rng = np.random.default_rng(11)
    rules = {"subject_weights": counted}
    passed = [
        decided(rules, *unfair_rows(rng, *configuration)).gate(ABSOLUTE).outcome is Outcome.PASS for _ in range(repeats)
    ]
    assert np.mean(passed) <= most(repeats)


REPEATS = pytest.mark.parametrize(
    "repeats", [pytest.param(300, id="short"), pytest.param(5000, id="long", marks=pytest.mark.long)]
)


def test_where_one_person_holds_much_of_a_cell_rows_are_not_judged_and_it_is_said_why():
    gate = decided({"subject_weights": "rows"}, *unfair_rows(np.random.default_rng(0), 0.5, "equal", 0.5)).gate(
        ABSOLUTE
    )
    assert gate.outcome is Outcome.INCONCLUSIVE
    assert "3 subjects of equal weight with this label, 52 are needed" in gate.reason


@REPEATS
def test_subjects_in_both_groups_who_are_decided_against_each_other_pass_with_at_most_alpha(repeats):
    rng = np.random.default_rng(12)
    run = partial(passes, {"max_eo_gap": TAU}, ABSOLUTE, rows_in_both_groups, rng)
    assert np.mean([run() for _ in range(repeats)]) <= most(repeats)


@REPEATS
@pytest.mark.parametrize(("gate", "key"), [(FLOOR, "min_balanced_accuracy"), (GROUP_ACCURACY, "min_group_accuracy")])
def test_a_model_below_the_floor_passes_with_at_most_alpha_though_subjects_err_on_both_labels(repeats, gate, key):
    run = partial(passes, {key: 0.8}, gate, rows_with_both_labels, np.random.default_rng(13))
    assert np.mean([run() for _ in range(repeats)]) <= most(repeats)


@REPEATS
def test_a_loss_of_accuracy_at_its_threshold_passes_with_at_most_alpha_though_subjects_flip_as_one(repeats):
    run = partial(passes, {"max_accuracy_drop": TAU}, ACCURACY_DROP, rows_that_flip, np.random.default_rng(14))
    assert np.mean([run() for _ in range(repeats)]) <= most(repeats)


@pytest.mark.parametrize("counted", ["people", "rows"])
def test_every_gate_is_judged_beside_subjects_and_again_from_what_a_report_keeps(counted):
    rng = np.random.default_rng(15)
    who = np.repeat(np.arange(1200), 3)
    label = np.tile([0, 1, 1], 1200)
    before = np.where(rng.random(3600) < 0.05, 1 - label, label)
    after = np.where(rng.random(3600) < 0.01, 1 - before, before)
    metrics = (
        "equal_opportunity_difference",
        "false_positive_rate_difference",
        "demographic_parity_difference",
        "predictive_parity_difference",
        "accuracy_difference",
    )
    rules = {
        "subject_weights": counted,
        "metrics": dict.fromkeys(metrics, 0.3),
        "max_eo_increase": 0.3,
        "min_group_accuracy": 0.5,
        "max_accuracy_drop": 0.2,
        "max_group_accuracy_drop": 0.2,
        "max_excess_loss": 0.2,
        "max_eo_gap": 0.3,
    }
    policy = Policy.model_validate({"attributes": {"sex": {"groups": ["F", "M"]}}, **rules})
    group = (rng.random(3600) < 0.5).astype(np.int64)
    sensitive = {"sex": Categories(("F", "M"), group.astype(np.int32))}
    counts = GroupCounts.from_rows(sensitive, label=label, decision=after, classes=("0", "1"))
    paired = PairedCounts.from_rows(sensitive, label=label, reference=before, candidate=after, classes=("0", "1"))
    design = design_of(
        policy,
        subject=Categories(tuple(map(str, range(1200))), who.astype(np.int32)),
        sensitive=sensitive,
        label=label,
        decision=after,
        reference=before,
        classes=2,
    )
    evidence = Evidence(counts=counts, paired=paired, design=design)
    verdict = decide(evidence, policy)
    assert {gate.outcome for gate in verdict.gates} == {Outcome.PASS}
    assert len(verdict.gates) == 13
    again = decide(Evidence.from_json(counts, json.loads(json.dumps(evidence.to_json()))), policy)
    assert again.to_json() == verdict.to_json()


def test_a_person_who_has_every_other_row_decides_as_much_as_anybody():
    """F's giant is always overlooked: the rate of rows says so, that of people does not."""
    rng = np.random.default_rng(16)
    group, label, decision, who = unfair_rows(rng, 0.0, "equal", 0.5)
    giant = (group == 0) & (who == 0) & (label == 1)
    decision = np.where(giant, 0, decision)
    rates = {
        counted: decided({"subject_weights": counted}, group, label, decision, who)
        .attributes[0]
        .groups[0]
        .rates[1]
        .rate
        for counted in ("people", "rows")
    }
    assert rates["people"] == pytest.approx(0.945, abs=0.02)
    assert rates["rows"] == pytest.approx(0.4725, abs=0.02)


def test_evidence_that_counts_otherwise_than_the_policy_says_is_refused():
    rows = unfair_rows(np.random.default_rng(0), 0.0, "equal", 0)
    sensitive = {"sex": Categories(("F", "M"), rows[0].astype(np.int32))}
    policy = Policy.model_validate({"attributes": {"sex": {"groups": ["F", "M"]}}})
    design = design_of(
        policy,
        subject=Categories(tuple(map(str, range(rows[3].max() + 1))), rows[3].astype(np.int32)),
        sensitive=sensitive,
        label=rows[1],
        decision=rows[2],
        reference=None,
        classes=2,
    )
    counts = GroupCounts.from_rows(sensitive, label=rows[1], decision=rows[2], classes=("0", "1"))
    with pytest.raises(PolicyError, match="the policy counts rows"):
        decide(Evidence(counts=counts, design=design), policy.model_copy(update={"subject_weights": "rows"}))


def test_a_report_of_before_people_were_counted_is_decided_as_it_was():
    """Its design counts rows, has no rates of its own, and takes the two ways of flipping as independent."""
    table = {"share": [[[0.5] * 2] * 2] * 2, "subjects": [[[400] * 2] * 2] * 2}
    old = {"rates": {"sex": table}, "gained": {"sex": table}, "lost": {"sex": table}}
    one = {"share": [0.5], "subjects": [800]}
    design = Design.from_json({**old, "mended": one, "spoiled": one})
    assert design.counted is None
    assert design.rates["sex"].rate is None
    flips = design.changes["sex"]
    assert (flips.plus.share == 0.5).all()
    assert (flips.widening == 1).all()
    counts = GroupCounts(("sex",), (("F",), ("M",)), ("0", "1"), np.full((2, 2, 2), 400))
    policy = Policy.model_validate({"attributes": {"sex": {"groups": ["F", "M"]}}, "max_eo_gap": 0.2})
    gate = decide(Evidence(counts=counts, design=design), policy).gate(ABSOLUTE)
    size = 400 * (ndtri(0.95) / stdtrit(399, 0.95)) ** 2
    lower, upper = clopper_pearson(0.5 * size, size, 0.05)
    assert gate.estimate == 0
    assert gate.upper == pytest.approx(np.hypot(upper - 0.5, 0.5 - lower))
