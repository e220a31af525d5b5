"""Where this machine has a core to spare, probes start while a command reads its rows."""

import threading
import time

import pytest

from edgefair.decision.policy import Policy
from edgefair.errors import DataError, MeasurementError
from edgefair.targets import load_profile, open_target
from edgefair.workflow.measurement.devices import ahead as module
from edgefair.workflow.measurement.devices.ahead import Ahead

LONG_S = 30
POLICY = Policy(max_eo_gap=0.05, attributes={"sex": {"groups": ["F", "M"]}})


@pytest.fixture
def starts(monkeypatch):
    """Of every probe that starts: the thread, and later the process; with an event before which none starts."""

    class Starts:
        threads, processes, may = [], [], threading.Event()

    started = Starts()
    started.threads, started.processes, started.may = [], [], threading.Event()
    started.may.set()

    def opened(profile):
        started.threads.append(threading.current_thread())
        assert started.may.wait(LONG_S)
        probe = open_target(profile)
        enter = probe.__class__.__enter__

        class Opened:
            def __enter__(self):
                entered = enter(probe)
                started.processes.append(probe._connection._process)
                return entered

            def __exit__(self, *error):
                return probe.__exit__(*error)

        return Opened()

    monkeypatch.setattr(module, "open_target", opened)
    return started


def wait_for(condition):
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_was_started_ahead_is_handed_out_and_ends_with_its_use(starts):
    profile = load_profile("local")
    with Ahead(profile, probes=2) as ahead:
        wait_for(lambda: len(starts.processes) == 2)
        with ahead.open(profile) as one, ahead.open(profile) as other:
            assert one is not other
            assert [item.device["cpu"] for item in (one, other)]
            assert all(process.poll() is None for process in starts.processes)
        assert [process.poll() for process in starts.processes] == [0, 0]
        with ahead.open(profile):
            assert len(starts.processes) == 3
    assert threading.current_thread() not in starts.threads[:2]
    assert starts.threads[2] is threading.current_thread()


def test_what_has_not_begun_when_the_first_is_needed_does_not_start(starts):
    profile = load_profile("local")
    starts.may.clear()
    with Ahead(profile, probes=2) as ahead:
        wait_for(lambda: starts.threads)
        threading.Timer(0.1, starts.may.set).start()
        with ahead.open(profile):
            pass
    assert len(starts.threads) == 1


@pytest.mark.parametrize("ready", [True, False])
def test_a_probe_that_nobody_asked_for_ends(starts, ready):
    if not ready:
        starts.may.clear()

    def reads():
        with Ahead(load_profile("local")):
            wait_for(lambda: starts.processes if ready else starts.threads)
            raise DataError("no rows")

    with pytest.raises(DataError, match="no rows"):
        reads()
    starts.may.set()
    wait_for(lambda: starts.processes and starts.processes[0].poll() is not None)


def test_a_start_that_fails_fails_where_the_probe_is_asked_for(monkeypatch):
    def fails(_):
        raise MeasurementError("no such machine")

    monkeypatch.setattr(module, "open_target", fails)
    profile = load_profile("local")
    with (
        Ahead(profile, probes=2) as ahead,
        pytest.raises(MeasurementError, match="no such machine"),
        ahead.open(profile),
    ):
        pass


def test_a_probe_of_another_profile_is_started_when_it_is_asked_for(starts):
    profile = load_profile("local")
    other = profile.model_copy(update={"name": "other"})
    with Ahead(profile) as ahead, ahead.open(other) as probe:
        assert probe.profile.name == "other"


@pytest.mark.parametrize(
    ("targets", "cores", "starting"),
    [
        (["local"], 2, 1),
        (["local"], 1, 0),
        (["local", "qemu:haswell"], 2, 0),
        (["no-such"], 2, 0),
        (["pool:local"], 2, 0),
    ],
)
def test_only_one_target_of_this_machine_starts_ahead_and_only_beside_a_free_core(
    monkeypatch, starts, targets, cores, starting
):
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    monkeypatch.setattr("edgefair.data.files.lazy.core_count", lambda: 2)
    with Ahead.of(targets, POLICY, probes=1):
        if starting:
            wait_for(lambda: starts.threads)
    assert len(starts.threads) == starting
