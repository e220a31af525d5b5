"""How long latency is measured: laws of the loop and of the times that it is told, on a clock that only they move."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import signal

from edgefair.probe.clock import latency
from edgefair.probe.clock.effective import effective_queries
from edgefair.probe.runtimes.models import Loaded

RULES = {"warmup": 0, "min_queries": 20, "min_seconds": 0.0, "max_seconds": 60.0, "min_effective_queries": 0}
ROW = {"x": np.ones((3, 1))}
MOST = 200_000


def alike(rho, milliseconds=1.0):
    """Nanoseconds of queries of an AR(1) process, each as like the last as `rho` says."""
    noise = np.random.default_rng(0).standard_normal(MOST) * np.sqrt(1 - rho**2)
    return (1e6 * milliseconds * np.exp(0.1 * signal.lfilter([1], [1, -rho], noise))).astype(np.int64)


class Recorded:
    """A session whose queries take recorded times, by which its process's clock and the caller's go on."""

    def __init__(self, times):
        self.times, self.now, self.asked = iter(times.tolist()), 0, []

    def run(self, names, inputs):
        self.query_times([(self, names, 0)], inputs)
        return [np.zeros(1)]

    def run_alone(self, names, inputs):
        return self.run(names, inputs)

    def query_times(self, queries, pool):
        told = [next(self.times) for _ in queries]
        self.now += sum(told)
        self.asked.append(len(told))
        return told


@pytest.fixture
def measured(monkeypatch):
    """Measure a model of recorded times by some rules: its times, and its session."""

    def measure(times, **rules):
        session = Recorded(times)
        monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: session.now / 1e9))
        models = {"m": Loaded(session, "0", 1, row_by_row=False)}
        return latency.measure(models, ROW, {"m": ["y"]}, **{**RULES, **rules})["m"], session

    return measure


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_measuring_goes_on_until_the_queries_tell_as_much_as_the_profile_wants_of_independent_ones(measured, rho):
    times = alike(rho)
    taken, _ = measured(times, min_effective_queries=300)
    assert len(taken) >= effective_queries(taken) >= 300
    assert np.array_equal(taken, times[: len(taken)])
    before = taken[: int(len(taken) / latency.LOOK_AGAIN)]
    assert effective_queries(before) < 300, "the look before saw too little"


def test_queries_that_are_more_alike_take_longer_to_tell_as_much(measured):
    found = [len(measured(alike(rho), min_effective_queries=300)[0]) for rho in (0.0, 0.5, 0.9)]
    assert found == sorted(found)
    assert found[-1] > 5 * found[0]


def test_no_longer_than_the_profile_allows_however_little_the_queries_tell(measured):
    taken, _ = measured(alike(0.0), max_seconds=0.2, min_effective_queries=10**9)
    assert 0.2e9 <= taken.sum() <= (0.2 + 2 * latency.GO_S) * 1e9


def test_where_nothing_is_asked_of_their_likeness_the_least_number_is_enough(measured):
    taken, session = measured(alike(0.9), warmup=7)
    assert len(taken) == 20
    assert sum(session.asked) == 27


def test_warming_up_ends_when_the_time_that_the_profile_allows_is_over(measured):
    taken, session = measured(alike(0.0, milliseconds=50.0), warmup=1000, max_seconds=0.2)
    assert session.asked[:4] == [1] * 4
    assert sum(session.asked) - len(taken) <= 6
