"""Latency shares the error probability of the release, as every gate does."""

from dataclasses import replace

import numpy as np
import pytest

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.verdict import Outcome
from edgefair.measure.ladder import LEAST_LEVEL
from edgefair.measure.latency import LatencySummary, summarize
from edgefair.probe.bundles.gates import ABSOLUTE, FLOOR, LATENCY
from tests.decision.helpers_decision import binary, policy

FAIR = binary((4000, 5000, 500, 5000), (4000, 5000, 500, 5000))
# Log-normal query times around 1 ms.
TRUE_P90_MS = float(np.exp(0.1 * 1.2815515655446004))


def times(rng, queries=1024):
    return (1e6 * np.exp(0.1 * rng.standard_normal(queries))).astype(np.int64)


def latency_gate(latency, limit, **arguments):
    return decide(Evidence(FAIR, latency=latency), policy(max_latency_p90_ms=limit), **arguments).gate(LATENCY)


def test_a_release_whose_targets_are_all_at_their_latency_threshold_fails_with_alpha_at_most():
    rng, targets, alpha, runs = np.random.default_rng(3), 5, 0.1, 120
    asked = policy(max_latency_p90_ms=TRUE_P90_MS, alpha=alpha)

    def fails():
        evidence = Evidence(FAIR, latency=summarize(times(rng), level=alpha))
        return decide(evidence, asked, targets=targets).outcome is Outcome.FAIL

    failed = np.mean([any(fails() for _ in range(targets)) for _ in range(runs)])
    assert failed <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / runs)


def test_a_device_at_its_threshold_passes_with_the_level_of_the_verdict_at_most():
    rng, level, runs = np.random.default_rng(4), 0.001, 500
    asked = policy(max_latency_p90_ms=TRUE_P90_MS, alpha=0.05)
    gates = (
        decide(Evidence(FAIR, latency=summarize(times(rng, 512), level=0.05)), asked, level=level).gate(LATENCY)
        for _ in range(runs)
    )
    passed = np.mean([gate.outcome is Outcome.PASS for gate in gates])
    assert passed <= level + 3 * np.sqrt(level * (1 - level) / runs)


def test_a_later_sealed_verdict_or_an_early_look_needs_a_wider_margin_of_latency():
    found = summarize(times(np.random.default_rng(0)), level=0.05)
    limit = found.p90_upper_ms
    assert latency_gate(found, limit).outcome is Outcome.PASS
    assert latency_gate(found, limit, level=0.05).outcome is Outcome.PASS
    assert latency_gate(found, limit, level=0.05 / 20).outcome is Outcome.INCONCLUSIVE
    assert latency_gate(found, found.limits(0.05 / 20)[1], level=0.05 / 20).outcome is Outcome.PASS


def test_where_latency_is_judged_it_is_one_more_claim_of_fail_for_all_gates():
    latency = summarize(times(np.random.default_rng(0)), level=0.05)
    counts = binary((4000, 5000, 500, 5000), (3500, 5000, 500, 5000))
    alone, beside = (
        decide(Evidence(counts, latency=latency), policy(max_latency_p90_ms=limit)) for limit in (None, 5.0)
    )
    assert alone.gate(ABSOLUTE).upper == beside.gate(ABSOLUTE).upper
    assert alone.gate(FLOOR).upper < beside.gate(FLOOR).upper
    assert alone.gate(ABSOLUTE).lower > beside.gate(ABSOLUTE).lower
    skipped = Evidence(counts, not_measured=((LATENCY, "skipped"),))
    assert decide(skipped, policy(max_latency_p90_ms=5.0)).gate(ABSOLUTE).lower == alone.gate(ABSOLUTE).lower


def test_a_summary_of_before_is_judged_by_the_limits_that_it_has_whatever_shares_its_error():
    found = replace(summarize(times(np.random.default_rng(0)), level=0.05), ladder=None)
    gate = latency_gate(LatencySummary.from_json(found.to_json()), 0.5, targets=9, level=0.001)
    assert (gate.lower, gate.upper) == (found.p90_lower_ms, found.p90_upper_ms)
    without = {key: value for key, value in found.to_json().items() if key not in {"ladder", "effective_queries"}}
    assert LatencySummary.from_json(without) == replace(found, effective_queries=None)


@pytest.mark.parametrize("queries", [200, 3000])
def test_limits_of_a_smaller_level_are_those_of_the_next_step_down_and_never_narrower(queries):
    drawn = times(np.random.default_rng(1), queries)
    found = summarize(drawn, level=0.05)
    assert found.limits(0.05) == (found.p90_lower_ms, found.p90_upper_ms)
    for step in range(1, 20):
        own = summarize(drawn, level=0.05 / 2**step)
        assert found.limits(0.05 / 2**step) == pytest.approx(own.limits(0.05 / 2**step), rel=1e-2)
        assert found.limits(0.05 / 1.9**step)[0] <= found.limits(0.05 / 1.9 ** (step - 1))[0]
        assert found.limits(0.05 / 1.9**step)[1] >= found.limits(0.05 / 1.9 ** (step - 1))[1]
    assert found.limits(0.03) == found.limits(0.025)
    assert found.limits(LEAST_LEVEL / 4) == (-np.inf, np.inf)
    assert LatencySummary.from_json(found.to_json()) == found


def test_queries_too_alike_for_limits_say_the_same_in_a_report_and_in_its_evidence():
    alike = np.repeat(np.random.default_rng(0).integers(900_000, 10**6, 30), 100)
    found = summarize(alike, level=0.05)
    assert found.ladder is None
    assert latency_gate(found, 50.0).outcome is Outcome.INCONCLUSIVE
    assert "ladder" not in found.to_json()
    assert LatencySummary.from_json(found.to_json()) == found
