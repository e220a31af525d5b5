"""A rehearsed verdict is the verdict, but for the exact test."""

import numpy as np

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.rehearsal import rehearse
from edgefair.decision.verdict import Outcome
from edgefair.measure.paired import PairedCounts
from edgefair.probe.bundles.gates import ABSOLUTE

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
        for policy in policies():
            rehearsed, verdict = rehearse(evidence, policy), decide(evidence, policy)
            assert [gate.id for gate in rehearsed.gates] == [gate.id for gate in verdict.gates]
            for one, other in zip(rehearsed.gates, verdict.gates, strict=True):
                passes = [gate.outcome is Outcome.PASS for gate in (one, other)]
                seen.add((one.id, *passes))
                if passes == [True, False]:
                    assert one.id in CONFIRMED
                    assert other.upper > one.upper
                    disagreed += 1
                else:
                    assert passes[0] == passes[1]
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
