"""A sealed audit set: what a verdict may spend, which policies fit it, and false PASSes of fifty exports."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.false_pass.sealed import scenarios
from edgefair.decision.decide import decide
from edgefair.decision.policy import Policy
from edgefair.decision.spending import LEAST_LEVEL, chance_of_pass, sealed_level
from edgefair.errors import PolicyError
from edgefair.measure.counts import GroupCounts

ATTRIBUTES = {"sex": {"groups": ["f", "m"]}}
COUNTS = GroupCounts(("sex",), (("f",), ("m",)), ("no", "yes"), np.full((2, 2, 2), 100))


@given(st.floats(LEAST_LEVEL, 0.5, exclude_max=True), st.integers(1, 1000))
def test_all_verdicts_together_spend_no_more_than_alpha(alpha, verdicts):
    levels = [sealed_level(alpha, number) or 0.0 for number in range(1, verdicts + 1)]
    assert levels == sorted(levels, reverse=True)
    assert sum(levels) <= alpha * (1 + 1e-12)


def test_the_first_verdict_gets_half_and_a_level_too_small_for_quantiles_is_spent():
    assert sealed_level(0.05, 1) == 0.025
    assert sealed_level(0.05, 7070) is not None
    assert sealed_level(0.05, 7071) is None, "0.05 / 1e-9 is 5e7, and 7071 x 7072 is more"


def test_a_pass_by_chance_has_the_union_bound():
    assert [chance_of_pass(0.05, models) for models in (1, 3, 20, 40)] == pytest.approx([0.05, 0.15, 1.0, 1.0])


@pytest.mark.parametrize(("keys", "why"), [({"on_inconclusive": "warn"}, "warn"), ({"rule": "point"}, "point")])
def test_a_policy_that_would_tell_more_than_a_bit_or_spends_nothing_is_refused(keys, why):
    Policy.model_validate({"attributes": ATTRIBUTES} | keys)
    with pytest.raises(ValidationError, match=f"sealed and .*: {why} contradict"):
        Policy.model_validate({"attributes": ATTRIBUTES, "audit": "sealed"} | keys)


def test_counts_are_judged_by_a_sealed_policy_only_at_a_level():
    policy = Policy.model_validate({"attributes": ATTRIBUTES, "audit": "sealed"})
    with pytest.raises(PolicyError, match="there for all to see"):
        decide(COUNTS, policy)
    assert decide(COUNTS, policy, level=0.01).alpha == 0.01


@pytest.mark.parametrize("runs", [pytest.param(100, id="short"), pytest.param(300, id="long", marks=pytest.mark.long)])
@pytest.mark.parametrize("scenario", list(scenarios(quick=True)), ids=lambda scenario: scenario.name)
def test_fifty_exports_of_unfair_models_pass_at_most_with_alpha_under_seal_and_mostly_without(scenario, runs):
    rng = np.random.default_rng(0)
    rate = sum(scenario.run(rng) for _ in range(runs)) / runs
    bound = scenario.at_least if scenario.at_most is None else scenario.at_most
    error = 3 * math.sqrt(bound * (1 - bound) / runs)
    assert rate >= bound - error if scenario.at_most is None else rate <= bound + error
