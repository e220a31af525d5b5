"""Rates of rows of which some are labelled, chosen within strata: against whole tables and against chance."""

import json

import numpy as np
import pytest

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.weighted import weighted_design
from edgefair.measure.labels.strata import Strata
from edgefair.measure.metrics import DIFFERENCES

POLICY = Policy.model_validate(
    {
        "max_eo_gap": 0.1,
        "max_eo_increase": 0.05,
        "min_group_accuracy": 0.5,
        "max_accuracy_drop": 0.05,
        "max_group_accuracy_drop": 0.05,
        "max_excess_loss": 0.05,
        "metrics": dict.fromkeys(DIFFERENCES, 0.1),
        "attributes": {"sex": {"groups": ["F", "M"]}},
    }
)


def rows(rng, n=6000, flips=0.03):
    """Group, stratum, both decisions and label of rows whose score tells how likely they are positive."""
    group = rng.integers(0, 2, n)
    score = rng.beta(0.5, 1.0, n)
    label = (rng.random(n) < score).astype(np.int64)
    reference = (score > 0.5).astype(np.int64)
    candidate = np.where(rng.random(n) < flips, 1 - reference, reference)
    stratum = group * 4 + np.minimum((score * 4).astype(np.int64), 3)
    return group, stratum, reference, candidate, label


def strata_of(group, stratum, reference, candidate, label, classes=("no", "yes")):
    return Strata.of(
        attributes=("sex",),
        groups=(("F",), ("M",)),
        classes=classes,
        stratum=stratum,
        group=group,
        candidate=candidate,
        reference=reference,
        label=label,
    )


def some_labels(rng, stratum, label, of_each=40):
    """Labels of so many random rows of every stratum, -1 elsewhere."""
    found = np.full(len(label), -1)
    for at in np.unique(stratum):
        chosen = rng.permutation(np.flatnonzero(stratum == at))[:of_each]
        found[chosen] = label[chosen]
    return found


def test_with_a_label_in_every_row_estimates_are_those_of_plain_counts():
    strata = strata_of(*rows(np.random.default_rng(0)))
    plain = decide(Evidence(strata.counts(), strata.paired()), POLICY)
    weighted = decide(Evidence(strata.counts(), strata.paired(), strata=strata), POLICY)
    assert [gate.id for gate in plain.gates] == [gate.id for gate in weighted.gates]
    for one, other in zip(plain.gates, weighted.gates, strict=True):
        assert other.estimate == pytest.approx(one.estimate, abs=1e-12)
    assert weighted.accuracy == pytest.approx(plain.accuracy, abs=1e-12)
    assert weighted.metrics["sex"] == pytest.approx(plain.metrics["sex"], abs=1e-12)
    for one, other in zip(plain.attributes[0].groups, weighted.attributes[0].groups, strict=True):
        assert other.accuracy == pytest.approx(one.accuracy, abs=1e-12)


def test_with_a_label_in_every_row_limits_of_the_gap_are_nearly_those_of_plain_counts():
    strata = strata_of(*rows(np.random.default_rng(0)))
    plain = decide(Evidence(strata.counts(), strata.paired()), POLICY)
    weighted = decide(Evidence(strata.counts(), strata.paired(), strata=strata), POLICY)
    for name in ("eo_gap", "eo_increase", *DIFFERENCES):
        assert weighted.gate(name).upper == pytest.approx(plain.gate(name).upper, abs=0.002), name


def test_estimates_are_right_on_average_and_the_limits_hold_them():
    rng = np.random.default_rng(1)
    # By integration of the law of `rows`: P(decided yes | label) with the score s ~ Beta(1/2, 1), decided above 1/2.
    s = (np.arange(200_000) + 0.5) / 200_000
    weight = 0.5 / np.sqrt(s)
    truth = np.array([(weight * p * (s > 0.5)).sum() / (weight * p).sum() for p in (1 - s, s)])
    found, missed = [], np.zeros(2)
    for _ in range(300):
        group, stratum, reference, _, label = rows(rng, 2000)
        strata = strata_of(group, stratum, None, reference, some_labels(rng, stratum, label))
        rates = weighted_design(strata, POLICY.model_copy(update={"max_eo_increase": None})).rates["sex"]
        value, lower, upper = rates.limits(None, None, 0.05)
        found.append(value[:, :, 1])
        missed += [(lower[:, :, 1] > truth).sum(), (upper[:, :, 1] < truth).sum()]
    error = np.std(found, axis=0).max() / np.sqrt(300)
    assert np.abs(np.mean(found, axis=0) - truth).max() < 4 * error + 0.002
    assert (missed / (300 * 4) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1200)).all()


def test_a_stratum_without_an_event_has_a_limit_that_grows_with_its_size():
    def upper(size):
        label = np.array([0] * 20 + [-1] * (size - 20) + [1] * 50)
        stratum = np.array([0] * size + [1] * 50)
        decided = np.array([0] * size + [1] * 50)
        strata = strata_of(np.zeros_like(stratum), stratum, None, decided, label)
        rates = weighted_design(strata, POLICY.model_copy(update={"max_eo_increase": None})).rates["sex"]
        return 1 - rates.limits(None, None, 0.05)[1][0, 1, 1]

    # Of 20 rows none is positive: up to 14 % of the others may be, each of them overlooked.
    assert upper(20) < 0.2 < upper(200) < upper(2000)
    assert upper(2000) > 0.139 * 2000 / (0.139 * 2000 + 50) - 0.01


def test_rows_decided_as_no_labelled_row_is_may_have_any_label():
    rng = np.random.default_rng(3)
    group, stratum, reference, _, label = rows(rng)
    known = some_labels(rng, stratum, label)
    candidate = reference.copy()
    lonely = np.flatnonzero((known < 0) & (group == 0) & (reference == 0))[:30]
    candidate[lonely] = 1
    strata = strata_of(group, stratum, reference, candidate, known)
    change = weighted_design(strata, POLICY).changes["sex"]
    _, lower, upper = change.plus.limits(None, None, 0.05)
    positive = (label[group == 0] == 1).sum()
    assert lower[0, 1, 1] == 0
    assert upper[0, 1, 1] > 0.5 * len(lonely) / positive


def test_no_flip_seen_is_no_proof_of_none():
    rng = np.random.default_rng(4)
    group, stratum, reference, _, label = rows(rng)
    strata = strata_of(group, stratum, reference, reference, some_labels(rng, stratum, label))
    design = weighted_design(strata, POLICY)
    assert design.changes["sex"].plus.limits(None, None, 0.05)[2][0, 1, 1] > 2.9 / (group == 0).sum()
    assert design.drop.plus.limits(None, None, 0.05)[2][0] > 2.9 / len(group)


def test_strata_are_read_back_and_those_that_no_rows_can_give_are_refused():
    rng = np.random.default_rng(5)
    group, stratum, reference, candidate, label = rows(rng)
    strata = strata_of(group, stratum, reference, candidate, some_labels(rng, stratum, label))
    saved = json.loads(json.dumps(strata.to_json()))
    again = Strata.from_json(saved)
    assert again.to_json() == strata.to_json()
    np.testing.assert_array_equal(again.table, strata.table)
    for key, value in (
        ("rows", [0] * len(strata.rows)),
        ("group", [7] * len(strata.rows)),
        ("candidate", [2] * len(strata.rows)),
        ("labelled", [[0, 0]] * len(strata.rows)),
        ("stratum", [-1] * len(strata.rows)),
        ("rows", [0.5] * len(strata.rows)),
    ):
        with pytest.raises(ValueError, match="strata"):
            Strata.from_json({**saved, key: value})
