import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.data.files.table import Categories
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome
from edgefair.measure.bounds import clopper_pearson
from edgefair.measure.clusters import votes
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Effective
from edgefair.probe.bundles.gates import ABSOLUTE
from edgefair.workflow.measurement.design import design_of

POLICY = Policy.model_validate({"attributes": {"sex": {"groups": ["F", "M"]}}, "min_balanced_accuracy": 0.0})


COUNTED = pytest.mark.parametrize("counted", ["people", "rows"])


def effective(event, *, cell, subject, cells, counted):
    return Effective.of(votes(event, cell=cell, subject=subject, cells=cells, counted=counted), (cells,))


@COUNTED
@given(st.integers(0, 1000), st.integers(5, 300))
def test_one_row_per_subject_tells_as_much_as_independent_rows(counted, seed, n):
    event = np.random.default_rng(seed).random(n) < 0.4
    found = effective(event, cell=np.zeros(n, dtype=np.int64), subject=np.arange(n), cells=1, counted=counted)
    assert found.subjects.tolist() == [n]
    assert 0.99 * (1 - 2 / n) <= found.share[0] <= 1.0


@COUNTED
def test_copies_of_a_row_tell_nothing_new(counted):
    event = np.repeat(np.random.default_rng(0).random(400) < 0.3, 5)
    found = effective(
        event, cell=np.zeros(2000, dtype=np.int64), subject=np.repeat(np.arange(400), 5), cells=1, counted=counted
    )
    assert found.share[0] == pytest.approx(1 / 5, rel=0.01)


@COUNTED
def test_where_the_effect_cannot_be_estimated_every_subject_counts_once(counted):
    event = np.array([True] * 10 + [False, True] * 5)
    cell = np.repeat([0, 1], 10)
    subject = np.concatenate([np.repeat([0, 1], 5), np.full(10, 7)])
    found = effective(event, cell=cell, subject=subject, cells=3, counted=counted)
    assert found.subjects.tolist() == [2, 1, 0]
    assert found.share.tolist() == pytest.approx([2 / 10, 1 / 10, 1.0])


@COUNTED
def test_effective_limits_are_wider_than_those_of_rows_and_hold_them(counted):
    event = np.repeat(np.random.default_rng(1).random(100) < 0.3, 4)
    who = np.repeat(np.arange(100), 4)
    found = effective(event, cell=np.zeros(400, dtype=np.int64), subject=who, cells=1, counted=counted)
    _, lower, upper = found.limits(np.array([event.sum()]), np.array([400]), 0.05)
    plain_lower, plain_upper = clopper_pearson(event.sum(), 400, 0.05)
    assert lower < plain_lower < plain_upper < upper


@given(st.integers(0, 1000), st.integers(1, 40))
def test_a_person_has_one_vote_however_often_their_rows_are_repeated(seed, times):
    rng = np.random.default_rng(seed)
    who, event = rng.integers(0, 60, 300), rng.random(300) < 0.7
    once = votes(event, cell=np.zeros(300, dtype=np.int64), subject=who, cells=1, counted="people")
    again = np.concatenate([np.arange(300), np.repeat(np.flatnonzero(who == who[0]), times)])
    more = votes(event[again], cell=np.zeros(len(again), dtype=np.int64), subject=who[again], cells=1, counted="people")
    assert more.rate == pytest.approx(once.rate)
    assert (more.subjects, more.units) == (once.subjects, once.units)


@given(st.integers(0, 1000))
def test_rows_counted_have_the_rate_of_rows_and_as_many_subjects_as_their_weights_are_worth(seed):
    rng = np.random.default_rng(seed)
    who, event = rng.geometric(0.1, 400), rng.random(400) < 0.7
    found = votes(event, cell=np.zeros(400, dtype=np.int64), subject=who, cells=1, counted="rows")
    assert found.rate[0] == pytest.approx(event.mean())
    assert 1 <= found.units[0] <= found.subjects[0]


def people(rng, subjects, gap, spread=0.35, rows=5):
    """Rows of subjects whose own rates vary: TPR of F lower by `gap`, strong correlation within a subject."""
    group = rng.integers(0, 2, subjects)
    own = np.clip(0.7 + rng.choice([-spread, spread], subjects) * 0.8, 0.02, 0.98)
    who = np.repeat(np.arange(subjects), rows)
    label = np.tile(np.arange(rows) % 2, subjects)
    p = np.where(label == 1, own[who] - np.where(group[who] == 0, gap, 0.0), 0.1)
    decision = (rng.random(len(who)) < p).astype(np.int64)
    return group[who], label, decision, who


def verdict_of(group, label, decision, who, *, clustered):
    sensitive = {"sex": Categories(("F", "M"), group.astype(np.int32))}
    counts = GroupCounts.from_rows(sensitive, label=label, decision=decision, classes=("0", "1"))
    subject = Categories(tuple(map(str, range(who.max() + 1))), who.astype(np.int32)) if clustered else None
    design = design_of(
        POLICY, subject=subject, sensitive=sensitive, label=label, decision=decision, reference=None, classes=2
    )
    return decide(Evidence(counts=counts, design=design), POLICY)


@pytest.mark.parametrize(
    "repeats", [pytest.param(300, id="short"), pytest.param(5000, id="long", marks=pytest.mark.long)]
)
def test_at_the_threshold_clustered_rows_pass_with_at_most_alpha_and_rows_taken_as_independent_with_more(repeats):
    rng = np.random.default_rng(3)
    passed = {True: 0, False: 0}
    for _ in range(repeats):
        rows = people(rng, subjects=1500, gap=0.05)
        for clustered in passed:
            passed[clustered] += verdict_of(*rows, clustered=clustered).gate(ABSOLUTE).outcome is Outcome.PASS
    error = 3 * np.sqrt(0.05 * 0.95 / repeats)
    assert passed[True] / repeats <= 0.05 + error
    assert passed[False] > passed[True]


def test_a_cell_of_few_subjects_is_too_few_however_many_rows_it_has():
    rng = np.random.default_rng(0)
    rows = people(rng, subjects=60, gap=0.0, rows=100)
    gate = verdict_of(*rows, clustered=True).gate(ABSOLUTE)
    assert gate.outcome is Outcome.INCONCLUSIVE
    assert "subjects with this label, 52 are needed" in gate.reason


# Why no bootstrap of the gap is offered ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "repeats", [pytest.param(100, id="short"), pytest.param(2000, id="long", marks=pytest.mark.long)]
)
def test_condemning_by_a_bootstrap_percentile_condemns_fair_models(repeats):
    """ "5th percentile of the bootstrap > 0.05" is no verdict: at 4 groups x 100 rows it condemns most fair models."""
    rng = np.random.default_rng(0)
    condemned = []
    for _ in range(repeats):
        x = rng.binomial(100, np.tile([0.1, 0.8], (4, 1)))
        counts = np.stack([100 - x, x], axis=2).astype(np.int64)
        total = counts.sum()
        drawn = rng.multinomial(total, (counts / total).ravel(), size=400).reshape(400, 4, 2, 2)
        gaps = np.ptp(drawn / drawn.sum(axis=3, keepdims=True), axis=1).max(axis=(1, 2))
        condemned.append(np.quantile(gaps, 0.05) > 0.05)
    assert np.mean(condemned) == pytest.approx(0.978, abs=3 * np.sqrt(0.978 * 0.022 / repeats) + 0.005)
