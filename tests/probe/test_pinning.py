"""Which cores a measurement runs on: trees of files like Linux's sysfs-devices-system-cpu, and this machine itself."""

import os
import threading

from edgefair.probe.clock import pinning
from edgefair.probe.clock.pinning import fastest, pinned


def cpu(root, number, **contents):
    for name, content in contents.items():
        path = root / f"devices/system/cpu/cpu{number}" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")


def test_of_big_and_little_cores_the_big_ones_are_taken(tmp_path):
    for number in range(6):
        cpu(tmp_path, number, cpu_capacity=1024 if number < 2 else 446)
    assert fastest(range(6), 2, {}, tmp_path) == [0, 1]
    assert fastest(range(6), 3, {}, tmp_path) == [0, 1, 5]


def test_where_no_capacity_is_said_the_clock_decides(tmp_path):
    for number, khz in enumerate((1800000, 2400000, 1800000)):
        cpu(tmp_path, number, cpufreq__cpuinfo_max_freq=khz)
    assert fastest(range(3), 1, {}, tmp_path) == [1]


def test_two_threads_of_one_core_are_taken_only_when_the_cores_are_used_up(tmp_path):
    for number in range(4):
        cpu(tmp_path, number, topology__thread_siblings_list=f"{number % 2},{number % 2 + 2}")
    assert fastest(range(4), 2, {}, tmp_path) == [2, 3]
    assert fastest(range(4), 3, {}, tmp_path) == [1, 2, 3]
    for number in range(4):
        cpu(tmp_path, number, topology__thread_siblings_list="0-1" if number < 2 else "2-3")
    assert fastest(range(4), 2, {}, tmp_path) == [1, 3]


def test_only_allowed_cores_are_taken_and_equal_ones_from_the_end(tmp_path):
    assert fastest([0, 1, 2], 1, {}, tmp_path) == [2]
    assert fastest([0], 4, {}, tmp_path) == [0]


def test_of_equal_cores_the_idle_one_is_taken_and_a_little_load_does_not_matter(tmp_path):
    assert fastest(range(3), 1, {0: 1.0, 1: 0.97, 2: 0.4}, tmp_path) == [1]
    cpu(tmp_path, 2, cpu_capacity=1024)
    assert fastest(range(3), 1, {0: 1.0, 1: 0.97, 2: 0.4}, tmp_path) == [2], "a busy big core gets free sooner or later"


def test_how_idle_a_core_is_comes_from_its_ticks(monkeypatch, tmp_path):
    moments = iter(
        [
            "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 10 0 5 100 5 0 0 0 7 7\ncpu1 0 0 0 50 0 0 0 0 0 0\nintr 5\n",
            "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 25 0 5 102 8 0 0 0 9 9\ncpu1 0 0 0 70 0 0 0 0 0 0\nintr 9\n",
        ]
    )
    monkeypatch.setattr(pinning, "proc_text", lambda _: next(moments))
    assert pinning.idle_shares(0.0) == {0: 0.25, 1: 1.0}
    monkeypatch.setattr(pinning, "proc_text", lambda _: None)
    assert pinning.idle_shares(0.0) == {}


def test_every_thread_is_pinned_and_free_again_afterwards():
    before = os.sched_getaffinity(0)
    ready, done = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: (ready.set(), done.wait()))
    other.start()
    ready.wait()
    try:
        with pinned(1) as cores:
            assert os.sched_getaffinity(0) == os.sched_getaffinity(other.native_id) == set(cores)
            assert len(cores) == 1
        assert os.sched_getaffinity(0) == os.sched_getaffinity(other.native_id) == before
    finally:
        done.set()
        other.join()


def test_where_the_system_does_not_allow_it_nothing_is_pinned_and_nothing_fails(monkeypatch):
    before, real = os.sched_getaffinity(0), os.sched_setaffinity
    calls = []

    def refuse(task, cores):
        calls.append(task)
        if len(calls) == 2:
            raise PermissionError
        real(task, cores)

    other, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (other.set(), done.wait()))
    thread.start()
    other.wait()
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    try:
        with pinned(1) as cores:
            assert cores is None
            assert os.sched_getaffinity(0) == os.sched_getaffinity(thread.native_id) == before
    finally:
        done.set()
        thread.join()
    monkeypatch.delattr(os, "sched_setaffinity")
    monkeypatch.delattr(os, "sched_getaffinity")
    with pinned(1) as cores:
        assert cores is None
