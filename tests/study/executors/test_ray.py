import pytest

from edgefair.errors import UsageError
from edgefair.study.executors import Lost, Settings, open_executor
from edgefair.study.executors.base import cores
from tests.study.executors.test_processes import make


@pytest.mark.runtimes
def test_a_task_whose_worker_dies_is_lost_alone_and_workers_have_one_thread():
    pytest.importorskip("ray")
    with open_executor("ray", make, Settings(min(2, cores()))) as executor:
        for unit in ("one", "die", "two"):
            executor.submit(unit)
        found = dict(executor.next() for _ in range(3))
    assert found["die"] == Lost("its worker was lost (WorkerCrashedError)")
    assert {found[unit][1:] for unit in ("one", "two")} == {("1", "one"), ("1", "two")}


def test_without_ray_the_extra_is_named():
    try:
        import ray  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match=r"pip install 'edgefair\[study\]'"):
            open_executor("ray", make, Settings())
