import threading

import pytest

from edgefair.errors import MeasurementError, UsageError
from edgefair.progress import Progress, silent
from edgefair.workflow.measurement.fleet import load_fleet, on_each


def test_other_machines_work_side_by_side_before_this_one_and_results_keep_the_order_of_the_targets():
    fleet = load_fleet(["local", "ssh://a", "qemu:haswell", "ssh://b"])
    together = threading.Barrier(2, timeout=30)
    ended = []

    def work(profile, _progress):
        if profile.ssh is not None:
            together.wait()  # passed only if both machines are at work at once
        else:
            assert {"ssh://a", "ssh://b"} <= set(ended)
        ended.append(profile.name)
        return profile.name

    assert on_each(fleet, work, silent) == ["local", "ssh://a", "qemu:haswell", "ssh://b"]
    assert ended[2:] == ["local", "qemu:haswell"]


def test_two_targets_on_one_machine_take_turns():
    fleet = load_fleet(["ssh://pi@board", "x86-vnni=ssh://root@BOARD"])
    busy = threading.Lock()

    def work(profile, _progress):
        assert busy.acquire(blocking=False)
        busy.release()
        return threading.current_thread()

    first, second = on_each(fleet, work, silent)
    assert first is second


def test_the_first_failure_in_the_order_of_the_targets_is_the_fleets_and_this_machine_is_not_started_then():
    fleet = load_fleet(["local", "ssh://a", "ssh://b"])
    later = threading.Event()

    def work(profile, _progress):
        assert profile.ssh is not None
        if profile.name == "ssh://a":
            later.wait(30)
        else:
            later.set()
        raise MeasurementError(f"no {profile.name}")

    with pytest.raises(MeasurementError, match="no ssh://a"):
        on_each(fleet, work, silent)


def test_progress_of_several_targets_says_whose_it_is_and_of_one_does_not():
    told = []

    def work(_profile, progress):
        progress.step(1, 2, "deciding")

    on_each(load_fleet(["local"]), work, Progress(lambda *item: told.append(item)))
    on_each(load_fleet(["local", "x86-vnni"]), work, Progress(lambda *item: told.append(item)))
    assert [what for _, _, what in told] == ["deciding", "local: deciding", "x86-vnni: deciding"]


def test_a_target_named_twice_is_refused():
    with pytest.raises(UsageError, match="two targets have the name 'qemu:haswell': 'qemu:haswell' and 'qemu-haswell'"):
        load_fleet(["qemu:haswell", "local", "qemu-haswell"])
