"""A rehearsed verdict is the verdict, but for the exact test."""

import datetime
from collections import Counter

import numpy as np
import pytest

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.rehearsal import passes, passes_rehearsal, rehearse
from edgefair.decision.verdict import Outcome
from edgefair.errors import PolicyError
from edgefair.measure.paired import PairedCounts
from edgefair.probe.bundles.gates import ABSOLUTE
from tests.decision.helpers_decision import counts_of, policy

METRICS = ("demographic_parity_difference", "accuracy_difference", "predictive_parity_difference")
CONFIRMED = {ABSOLUTE, *METRICS}


def policies():
    attributes = {"sex": {"groups": ["f", "m"]}, "age": {"groups": ["o", "y"], "max_eo_gap": 0.06}, "sex*age": {}}
    for rule in ("bound", "point"):
        yield Policy.model_validate(
            {
                "attributes": attributes,
                "rule": rule,
                "metrics": dict.fromkeys(METRICS, 0.05),
                "min_balanced_accuracy": 0.83,
                "min_group_accuracy": 0.83,
                "max_eo_increase": 0.02,
                "max_accuracy_drop": 0.005,
                "max_group_accuracy_drop": 0.01,
                "max_excess_loss": 0.01,
            }
        )


def random_evidence(rng):
    groups = (("f", "o"), ("f", "y"), ("m", "o"), ("m", "y"))
    n = rng.integers(20, rng.choice([200, 4000, 40_000]), size=(4, 2))
    flips = rng.uniform(0, 0.02)
    table = np.empty((4, 2, 2, 2), dtype=np.int64)
    for cell in np.ndindex(4, 2):
        rate = (0.1, 0.88)[cell[1]] + rng.normal(0, 0.005)
        share = [1 - rate - flips / 2, flips / 2, flips / 2, rate - flips / 2]
        table[cell] = rng.multinomial(n[cell], share).reshape(2, 2)
    paired = PairedCounts(("sex", "age"), groups, ("0", "1"), table)
    return Evidence(counts=paired.candidate, paired=paired)


def test_on_random_tables_every_gate_passes_or_not_as_in_the_verdict_but_where_the_exact_test_raised_a_limit():
    rng = np.random.default_rng(0)
    seen, disagreed = set(), 0
    for _ in range(80):
        evidence = random_evidence(rng)
        for rules in policies():
            rehearsed, verdict = rehearse(evidence, rules), decide(evidence, rules)
            assert [gate.id for gate in rehearsed.gates] == [gate.id for gate in verdict.gates]
            for one, other in zip(rehearsed.gates, verdict.gates, strict=True):
                passed = [gate.outcome is Outcome.PASS for gate in (one, other)]
                seen.add((one.id, *passed))
                if passed == [True, False]:
                    assert one.id in CONFIRMED
                    assert other.upper > one.upper
                    disagreed += 1
                else:
                    assert passed[0] == passed[1]
            assert rehearsed.passed or verdict.outcome is not Outcome.PASS
            assert bool(rehearsed.unshown) == (rehearsed.gates[0].outcome is not Outcome.PASS)
    assert {(gate, passed, passed) for gate in CONFIRMED for passed in (True, False)} <= seen
    assert disagreed < 10


def test_the_attributes_that_are_not_shown_are_named():
    table = np.zeros((4, 2, 2, 2), dtype=np.int64)
    table[:, 0, 0, 0], table[:, 0, 1, 1] = 18_000, 2_000
    table[:, 1, 0, 0], table[:, 1, 1, 1] = 2_000, 18_000
    table[:2, 1, 0, 0], table[:2, 1, 1, 1] = 4_000, 16_000
    paired = PairedCounts(("sex", "age"), (("f", "o"), ("f", "y"), ("m", "o"), ("m", "y")), ("0", "1"), table)
    assert rehearse(Evidence(counts=paired.candidate, paired=paired), next(policies())).unshown == ("sex", "sex*age")


FAIR = counts_of([[[1800, 200], [400, 1600]]] * 2)
WAIVED = [
    {"comparison": f"sex: {rate}, g0 / g1", "reason": "known", "owner": "a", "expires": "2026-12-01"}
    for rate in ("TPR", "FPR")
]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome.PASS),
        ({"waivers": WAIVED[:1]}, Outcome.PASS),
        ({"waivers": WAIVED}, Outcome.INCONCLUSIVE),
        ({"errors": {"labels": 0.001}}, Outcome.PASS),
        ({"errors": {"labels": 0.04}}, Outcome.INCONCLUSIVE),
        ({"max_size_bytes": 5}, Outcome.INCONCLUSIVE),
        ({"max_eo_increase": 0.01}, Outcome.INCONCLUSIVE),
        ({"min_cell_rows": 2001}, Outcome.INCONCLUSIVE),
        ({"min_balanced_accuracy": 0.9}, Outcome.FAIL),
    ],
)
def test_whether_it_passes_is_told_as_the_whole_verdict_tells_it(changes, outcome):
    evidence, rules, day = Evidence(counts=FAIR), policy(**changes), datetime.date(2026, 11, 1)
    assert decide(evidence, rules, today=day).outcome is outcome
    assert passes(evidence, rules, today=day) is (outcome is Outcome.PASS)
    rehearsed = rehearse(evidence, rules).passed
    assert passes_rehearsal(evidence, rules) is rehearsed
    assert rehearsed is (outcome is Outcome.PASS or "max_size_bytes" in changes)


@pytest.mark.parametrize("rule", ["bound", "point"])
@pytest.mark.parametrize("gate", [ABSOLUTE, *METRICS])
def test_near_their_thresholds_tables_pass_alone_as_beside_the_rest(gate, rule):
    rng, seen = np.random.default_rng(0), Counter()
    for share in (0.9, 1.0001, 1.0001) * 25:
        n = np.stack([rng.integers(5, 40, size=2), rng.integers(40, 400, size=2)])
        x = rng.binomial(n, [0.1, 0.8])
        evidence = Evidence(counts=counts_of(np.stack([n - x, x], axis=2)))
        keys = {"alpha": 0.01, "min_cell_rows": 1, "min_balanced_accuracy": 0, "rule": rule}
        loose = policy(2, max_eo_gap=1, metrics={} if gate == ABSOLUTE else {gate: 1}, **keys)
        found = next(item for item in rehearse(evidence, loose).gates if item.id == gate)
        most = min(share * (found.upper if rule == "bound" else found.estimate), 1.0)
        rules = loose.model_copy(update={"max_eo_gap": most} if gate == ABSOLUTE else {"metrics": {gate: most}})
        whole = rehearse(evidence, rules).passed, decide(evidence, rules).outcome is Outcome.PASS
        assert (passes_rehearsal(evidence, rules), passes(evidence, rules)) == whole
        seen[whole] += 1
    assert min(seen[False, False], seen[True, True]) >= 20
    assert (seen[True, False] >= 3) == (rule == "bound")


def test_what_is_not_judged_is_refused_all_the_same():
    with pytest.raises(PolicyError, match="sealed"):
        passes(Evidence(counts=FAIR), policy(audit="sealed"))
    with pytest.raises(PolicyError, match="expired"):
        passes(Evidence(counts=FAIR), policy(waivers=WAIVED), today=datetime.date(2027, 1, 1))
