import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgefair.data.files.lazy import cores
from edgefair.errors import UsageError
from edgefair.study.executors import Lost, Settings, open_executor
from edgefair.study.executors.processes import forks

DRIVER = """
import sys, time
from edgefair.study.executors import Settings, open_executor
from tests.study.executors.test_processes import make
if __name__ == "__main__":
    with open_executor("processes", make, Settings(1)) as executor:
        executor.submit("who")
        print(*executor.next()[1][:2], flush=True)
        executor.submit("sleep")
        executor.next()
"""

WARMED = """
from edgefair.study.executors import Settings, open_executor, warm
from tests.study.executors.test_processes import came
if __name__ == "__main__":
    warm("processes", "edgefair.study.run.loaded")
    with open_executor("processes", came, Settings(1)) as executor:
        executor.submit("one")
        print(*executor.next()[1])
"""


LOCKED = """
from edgefair.study.executors import Settings, open_executor
from tests.study.executors.test_processes import locked
if __name__ == "__main__":
    with open_executor("processes", locked, Settings(1)) as executor:
        executor.submit("one")
        executor.next()
"""


def make():
    return work


def locked():
    """A worker that holds a semaphore, as libraries' locks are."""
    held.append(multiprocessing.get_context("spawn").Lock())
    return work


held = []


def came():
    """What a worker finds that has loaded nothing itself."""
    loaded = "torch" in sys.modules
    threads = sum(1 for _ in Path(f"/proc/{os.getppid()}/task").iterdir())
    return lambda unit: (loaded, threads, os.environ["PYTHONPATH"], os.environ.get("PYTHONSAFEPATH"))


def work(unit):
    if unit == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if unit == "sleep":
        time.sleep(600)
    return os.getpid(), os.getppid(), os.environ["OMP_NUM_THREADS"], unit


def test_a_process_that_dies_loses_its_unit_and_is_replaced():
    before = os.environ.get("OMP_NUM_THREADS")
    with open_executor("processes", make, Settings(1)) as executor:
        found = []
        for unit in ("one", "die", "two"):
            executor.submit(unit)
            found.append(executor.next())
    (_, (first, _, threads, _)), (unit, lost), (_, (second, *_)) = found
    assert (unit, lost) == ("die", Lost("its process was killed by signal 9"))
    assert first != second
    assert threads == "1"
    assert os.environ.get("OMP_NUM_THREADS") == before


@pytest.mark.parametrize("folder", ["", "leaves no room for the name of a socket" * 3])
def test_a_process_whose_work_is_done_gives_back_what_it_held(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    environment = os.environ | ({"TMPDIR": str(tmp_path / folder)} if folder else {})
    driver = subprocess.run([sys.executable, "-c", LOCKED], capture_output=True, text=True, timeout=60, env=environment)
    assert (driver.returncode, driver.stderr) == (0, "")


def test_a_process_ends_at_once_when_the_one_that_started_it_is_killed():
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True)
    # It, and what it was forked from, tell of their end by closing what they have of the pipe.
    descriptors = [os.pidfd_open(int(process)) for process in driver.stdout.readline().split()]
    driver.kill()
    driver.wait()
    import select

    for descriptor in descriptors:
        assert select.select([descriptor], [], [], 30)[0]


@pytest.mark.skipif(not forks(), reason="processes are forked on Linux alone")
def test_processes_come_from_one_that_has_loaded_torch_from_where_it_belongs_and_has_one_thread(tmp_path):
    script, folder = tmp_path / "driver.py", tmp_path / "working folder"
    script.write_text(WARMED)
    folder.mkdir()
    (folder / "torch.py").write_text("raise SystemExit('another torch')")
    driver = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert (driver.stdout, driver.stderr) == (f"True 1 {Path(__file__).parents[3]} None\n", "")


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("processes", Settings(10_000), "10000 workers for"),
        ("processes", Settings(1, "ray://x"), "of this machine"),
        ("serial", Settings(2), "this process alone"),
        ("process", Settings(), "did you mean 'processes'"),
    ],
)
def test_what_an_executor_cannot_do_is_refused(name, settings, said):
    with pytest.raises(UsageError, match=said):
        open_executor(name, make, settings)


def test_as_many_workers_as_cores_by_default():
    assert open_executor("processes", make, Settings()).workers == cores()
