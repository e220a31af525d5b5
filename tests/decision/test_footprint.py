"""What a model costs the device beside its queries: time to load it, and memory."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.verdict import Outcome
from edgefair.measure.footprint import Footprint
from edgefair.probe.bundles.gates import LOAD, MEMORY
from tests.decision.helpers_decision import policy
from tests.decision.test_latency_error import FAIR

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
TEN = Footprint(tuple(float(value) for value in range(11, 21)), 30_000_000, 40_000_000)


def gate(found, which, **thresholds):
    return decide(Evidence(FAIR, footprint=found), policy(**thresholds)).gate(which)


@pytest.mark.parametrize(("limit", "expected"), [(20.5, PASS), (15.0, INCONCLUSIVE), (10.5, FAIL)])
def test_the_median_load_is_judged_by_its_limits(limit, expected):
    judged = gate(TEN, LOAD, max_load_ms=limit)
    assert (judged.outcome, judged.estimate, judged.unit) == (expected, 15.5, "ms")


def test_too_few_loads_decide_nothing_however_fast():
    few = replace(TEN, load_ms=(1.0, 1.0, 1.0, 1.0))
    assert gate(few, LOAD, max_load_ms=100.0).outcome is INCONCLUSIVE
    assert gate(replace(few, load_ms=(1.0,) * 5), LOAD, max_load_ms=100.0).outcome is PASS


@pytest.mark.parametrize(("limit", "expected"), [(40.0, PASS), (39.9, FAIL)])
def test_memory_is_the_peak_until_after_the_first_queries(limit, expected):
    judged = gate(TEN, MEMORY, max_peak_memory_mb=limit)
    assert (judged.outcome, judged.estimate, judged.unit) == (expected, 40.0, "MB")


def test_what_was_not_measured_or_not_told_is_no_pass():
    asked = {"max_load_ms": 1e6, "max_peak_memory_mb": 1e6}
    assert [gate(None, which, **asked).outcome for which in (LOAD, MEMORY)] == [INCONCLUSIVE] * 2
    silent = replace(TEN, peak_bytes=None)
    assert "does not tell" in gate(silent, MEMORY, **asked).reason


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_limits_of_the_median_miss_it_as_rarely_as_they_say(level):
    rng, missed = np.random.default_rng(0), []
    for _ in range(2000):
        lower, upper = Footprint(tuple(rng.lognormal(1, 0.5, 10)), None, None).load_limits(level)
        missed.append((lower > math.e, upper < math.e))
    assert (np.mean(missed, axis=0) <= level + 3 * np.sqrt(level * (1 - level) / 2000)).all()


@given(
    st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=20), st.none() | st.integers(0, 1 << 40), st.none() | st.just(7)
)
def test_a_footprint_is_read_back_as_it_was_written(loads, load, peak):
    found = Footprint(tuple(loads), load, peak)
    assert Footprint.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "broken", [{"load_ms": []}, {"load_ms": [0.0]}, {"load_ms": [math.nan]}, {"peak_bytes": -1}, {"peak_bytes": 1.5}]
)
def test_an_impossible_footprint_is_refused(broken):
    with pytest.raises(ValueError, match="impossible"):
        Footprint.from_json({**TEN.to_json(), **broken})


def test_of_a_runtime_with_a_library_of_its_own_later_loads_count_and_no_memory():
    assert Footprint((90.0, 1.0, 2.0), 10, 20).of_later_loads == Footprint((1.0, 2.0), None, None)
    assert Footprint((90.0,), 10, 20).of_later_loads is None
