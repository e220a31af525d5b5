"""Unfair and useless models whose audit rows belong to subjects of any size pass with at most alpha."""

import json

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit

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

ALPHA, TAU, SUBJECTS, BEYOND = 0.05, 0.05, 300, 1e-9


def rates_of(rng, mean, icc, subjects):
    """Own rates of subjects: Beta with that mean and correlation of two rows of a subject."""
    if icc == 0:
        return np.full(subjects, mean)
    strength = (1 - icc) / icc
    return rng.beta(mean * strength, (1 - mean) * strength, subjects)


def sizes_of(rng, sizes, giant, subjects):
    """Rows of subjects; the first holds a share `giant` of all."""
    drawn = {
        "equal": lambda: np.full(subjects, 5),
        "geometric": lambda: rng.geometric(0.2, subjects),
        "pareto": lambda: np.minimum(np.ceil(rng.pareto(1.2, subjects) + 1e-9), 2000).astype(np.int64),
    }[sizes]()
    if giant:
        drawn[0] = max(drawn[0], int(giant / (1 - giant) * drawn[1:].sum()))
    return drawn


def decided(rules, group, label, decision, who, reference=None):
    policy = Policy.model_validate(
        {"attributes": {"sex": {"groups": ["F", "M"]}}, "min_balanced_accuracy": 0.0, "max_eo_gap": TAU} | rules
    )
    sensitive = {"sex": Categories(("F", "M"), group.astype(np.int32))}
    subject = Categories(tuple(map(str, range(who.max() + 1))), who.astype(np.int32))
    design = design_of(
        policy, subject=subject, sensitive=sensitive, label=label, decision=decision, reference=reference, classes=2
    )
    counts = GroupCounts.from_rows(sensitive, label=label, decision=decision, classes=("0", "1"))
    paired = (
        reference
        if reference is None
        else PairedCounts.from_rows(sensitive, label=label, reference=reference, candidate=decision, classes=("0", "1"))
    )
    return decide(Evidence(counts=counts, paired=paired, design=design), policy)


def most(repeats):
    """Three Monte-Carlo standard errors above alpha."""
    return ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / repeats)


def unfair_rows(rng, icc, sizes, giant, tpr=0.995):
    """TPR of F lower by a little more than tau, FPR 0: rows of 300 subjects in each of the four cells."""
    parts, first = [], 0
    for group, label, rate in ((0, 1, tpr - TAU - BEYOND), (1, 1, tpr), (0, 0, 0.0), (1, 0, 0.0)):
        n = sizes_of(rng, sizes, giant, SUBJECTS) if label else np.full(SUBJECTS, 2)
        own = rates_of(rng, rate, icc, SUBJECTS) if label else np.zeros(SUBJECTS)
        who = np.repeat(np.arange(SUBJECTS), n)
        event = (rng.random(len(who)) < own[who]).astype(np.int64)
        parts.append((np.full(len(who), group), np.full(len(who), label), event, who + first))
        first += SUBJECTS
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


CONFIGURATIONS = [
    (icc, sizes, giant)
    for icc in (0.0, 0.1, 0.5, 0.9)
    for sizes in ("equal", "geometric", "pareto")
    for giant in (0, 0.2, 0.5, 0.9)
]
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
    """Whoever is overlooked as F is seen as M: what the two rates err by adds up."""
    rng, passed = np.random.default_rng(12), []
    for _ in range(repeats):
        u = rng.random(500)
        f, m = u < 0.85, u > 0.10 - BEYOND
        who = np.tile(np.arange(500), 4)
        label = np.repeat([1, 1, 0, 0], 500)
        decision = np.concatenate([f, m, np.zeros(1000)]).astype(np.int64)
        verdict = decided({}, np.repeat([0, 1, 0, 1], 500), label, decision, who)
        passed.append(verdict.gate(ABSOLUTE).outcome is Outcome.PASS)
    assert np.mean(passed) <= most(repeats)


@REPEATS
@pytest.mark.parametrize(("gate", "key"), [(FLOOR, "min_balanced_accuracy"), (GROUP_ACCURACY, "min_group_accuracy")])
def test_a_model_below_the_floor_passes_with_at_most_alpha_though_subjects_err_on_both_labels(repeats, gate, key):
    rng, passed = np.random.default_rng(13), []
    for _ in range(repeats):
        right = np.concatenate([rng.random(200) < 0.8 - BEYOND, np.ones(200, dtype=bool)])
        who = np.repeat(np.arange(400), 2)
        label = np.tile([0, 1], 400)
        decision = np.where(right[who], label, 1 - label)
        verdict = decided({key: 0.8, "max_eo_gap": 1.0}, np.repeat([0, 1], 400), label, decision, who)
        passed.append(verdict.gate(gate).outcome is Outcome.PASS)
    assert np.mean(passed) <= most(repeats)


@REPEATS
def test_a_loss_of_accuracy_at_its_threshold_passes_with_at_most_alpha_though_subjects_flip_as_one(repeats):
    rng, passed = np.random.default_rng(14), []
    for _ in range(repeats):
        who = np.repeat(np.arange(600), 4)
        flip = np.where(rng.random(600) < 0.10 + BEYOND, 1, np.where(rng.random(600) < 0.05 / 0.9, -1, 0))[who]
        label = np.tile([0, 1], 1200)
        before = np.where(flip < 0, 1 - label, label)
        after = np.where(flip > 0, 1 - label, label)
        verdict = decided({"max_accuracy_drop": TAU}, np.arange(2400) // 1200, label, after, who, reference=before)
        passed.append(verdict.gate(ACCURACY_DROP).outcome is Outcome.PASS)
    assert np.mean(passed) <= most(repeats)


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
