"""What a model costs the devices of a pool: the worst one decides, and one that was not timed is not passed over."""

from dataclasses import replace

import numpy as np
import pytest

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.verdict import Outcome
from edgefair.measure.latency import summarize
from edgefair.measure.pooled import PoolDevice
from edgefair.probe.bundles.gates import LATENCY, LOAD, MEMORY
from tests.decision.helpers_decision import policy
from tests.decision.test_footprint import TEN
from tests.decision.test_latency_error import FAIR, TRUE_P90_MS, times

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
FAST = summarize(times(np.random.default_rng(0)), level=0.05)
SLOW = summarize(3 * times(np.random.default_rng(0)), level=0.05)
HEAVY = replace(TEN, load_ms=tuple(2 * value for value in TEN.load_ms), peak_bytes=90_000_000)


def device(name, latency=FAST, footprint=TEN, **why):
    return PoolDevice(name, 1000, {}, latency, footprint, tuple(why.items()))


def gate(devices, which, **thresholds):
    evidence = Evidence(FAIR, latency=FAST, footprint=TEN, pool=tuple(devices))
    again = Evidence.from_json(evidence.counts, evidence.to_json())
    assert again == evidence
    return decide(evidence, policy(**thresholds)).gate(which)


@pytest.mark.parametrize(("limit", "expected"), [(20.0, PASS), (3 * TRUE_P90_MS, INCONCLUSIVE), (2.0, FAIL)])
def test_the_slowest_device_decides_latency_whatever_the_others_show(limit, expected):
    judged = gate([device("a"), device("b", SLOW), device("c")], LATENCY, max_latency_p90_ms=limit)
    assert (judged.outcome, judged.estimate) == (expected, SLOW.p90_ms)
    assert judged.reason.endswith("; of 'b', the worst of 3 devices")


def test_loading_and_memory_are_those_of_the_worst_device():
    devices = [device("a", footprint=HEAVY), device("b")]
    assert gate(devices, LOAD, max_load_ms=25.0).estimate == 31.0
    assert gate(devices, LOAD, max_load_ms=25.0).outcome is not PASS
    judged = [gate(part, MEMORY, max_peak_memory_mb=90.0) for part in (devices, devices[1:])]
    assert [(found.outcome, found.estimate) for found in judged] == [(PASS, 90.0), (PASS, 40.0)]


def test_a_device_that_was_not_timed_blocks_unless_another_fails():
    lost = device("b", None, None, **{LATENCY: "'b' was lost before it was timed"})
    judged = gate([device("a"), lost], LATENCY, max_latency_p90_ms=20.0)
    assert (judged.outcome, judged.estimate) == (INCONCLUSIVE, None)
    assert "not_measured: 'b' was lost before it was timed; of 'b'" in judged.reason
    assert gate([device("a", SLOW), lost], LATENCY, max_latency_p90_ms=2.0).outcome is FAIL


def test_many_devices_share_the_error_of_a_fail_as_each_may_exceed_the_threshold_by_chance():
    asked = {"max_latency_p90_ms": gate([device("a")], LATENCY, max_latency_p90_ms=1.0).lower - 1e-6}
    assert gate([device("a")], LATENCY, **asked).outcome is FAIL
    assert gate([device(name) for name in "abcdefgh"], LATENCY, **asked).outcome is INCONCLUSIVE
