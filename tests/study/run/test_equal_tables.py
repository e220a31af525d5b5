"""The same table, wherever a study runs and however often it is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgefair.data.files.lazy import cores
from edgefair.progress import Progress
from edgefair.study.executors import Settings
from edgefair.study.run.study import run_study
from edgefair.study.table import from_parquet
from tests.study.run.small_study import given
from tests.study.without_times import without_times

PLAN = """
study: people
config: edgefair.yaml
factors:
  extent: [none, finetune-only, prune 0.5 + int8]
  treatment: [none, during]
seeds: [0, 5]
after_rows: 200
"""
STUDY = "from edgefair.cli import main; main(['study', 'plan.yaml', '-o', '{}', '--executor', '{}', '--workers', '{}'])"
# One worker where there is one core: what is killed is still another process.
WORKERS = min(2, cores())


def lasting(folder):
    """The bytes of the table without times."""
    rows = from_parquet((folder / "table.parquet").read_bytes())
    return without_times(rows)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return given(tmp_path_factory.mktemp("project"), PLAN)


@pytest.fixture(scope="module")
def serial(plan, tmp_path_factory):
    """The table of one process."""
    folder = tmp_path_factory.mktemp("study") / "serial"
    assert run_study(plan, folder).failed == {}
    return lasting(folder)


@pytest.mark.long
def test_processes_give_the_table_of_one_and_a_worker_that_is_killed_changes_nothing(plan, serial, tmp_path):
    killed = []

    def kill_one(done, total, _):
        if total and done == 3 and not killed:
            import multiprocessing

            killed.append(multiprocessing.active_children()[0])
            os.kill(killed[0].pid, signal.SIGKILL)

    done = run_study(
        plan, tmp_path / "out", executor="processes", settings=Settings(WORKERS), progress=Progress(kill_one)
    )
    assert killed
    assert done.failed == {}
    assert lasting(tmp_path / "out") == serial


@pytest.mark.long
@pytest.mark.parametrize(("executor", "workers"), [("serial", 1), ("processes", WORKERS)])
def test_a_study_that_is_killed_goes_on_to_the_same_table(plan, serial, tmp_path, executor, workers):
    out = tmp_path / "out"
    code = STUDY.format(out, executor, workers)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    killed = subprocess.Popen([sys.executable, "-c", code], cwd=plan.config.base, env=environment)
    while len(list((out / "rows").glob("*.json"))) < 4 and killed.poll() is None:
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    there = len(list((out / "rows").glob("*.json")))
    assert 4 <= there < len(plan.plan.cells)
    assert run_study(plan, out).reused >= there - 1
    assert lasting(out) == serial


@pytest.mark.long
@pytest.mark.ray
def test_ray_gives_the_table_of_one_process(plan, serial, tmp_path):
    pytest.importorskip("ray")
    done = run_study(plan, tmp_path / "out", executor="ray", settings=Settings(WORKERS))
    assert done.failed == {}
    assert lasting(tmp_path / "out") == serial
