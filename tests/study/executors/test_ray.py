import os
import sys

import pytest

from edgefair.data.files.lazy import cores
from edgefair.errors import MeasurementError, UsageError
from edgefair.study.executors import Lost, Settings, open_executor
from tests.study.executors.test_processes import make


def cannot_be_made():
    raise ImportError("No module named 'edgefair_of_another_node'")


@pytest.fixture
def no_ray(monkeypatch):
    """As where the extra is not installed."""
    monkeypatch.setitem(sys.modules, "ray", None)


def test_without_ray_the_extra_is_named(no_ray):
    with pytest.raises(UsageError, match=r"pip install .*\[ray\]"):
        open_executor("ray", make, Settings())


@pytest.mark.ray
def test_a_task_whose_worker_dies_is_lost_alone_and_workers_have_one_thread():
    pytest.importorskip("ray")
    before = dict(os.environ)
    with open_executor("ray", make, Settings(min(2, cores()))) as executor:
        for unit in ("one", "die", "two"):
            executor.submit(unit)
        found = dict(executor.next() for _ in range(3))
    assert found["die"] == Lost("its worker was lost (WorkerCrashedError)")
    assert {found[unit][2:] for unit in ("one", "two")} == {("1", "one"), ("1", "two")}
    assert all(os.environ.get(name) == before.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))


@pytest.mark.ray
def test_a_cluster_is_joined_by_its_address_and_a_worker_that_cannot_load_the_study_ends_it():
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        with open_executor("ray", make, Settings(None, cluster.address)) as executor:
            assert executor.workers == 1
            executor.submit("one")
            assert executor.next()[1][2:] == ("1", "one")
        with open_executor("ray", cannot_be_made, Settings(1, cluster.address)) as executor:
            executor.submit("one")
            with pytest.raises(MeasurementError, match="edgefair_of_another_node"):
                executor.next()
        assert not ray.is_initialized()
    finally:
        cluster.shutdown()


@pytest.mark.ray
def test_an_address_with_no_cluster_is_told_with_what_to_do():
    pytest.importorskip("ray")
    with (
        pytest.raises(MeasurementError, match=r"no cluster of Ray at '127\.0\.0\.1:1'.*"),
        open_executor("ray", make, Settings(1, "127.0.0.1:1")),
    ):
        pass


@pytest.mark.ray
def test_a_node_that_does_not_start_is_tried_again_and_then_told(monkeypatch):
    ray = pytest.importorskip("ray")
    tried = []

    def times_out(**_):
        tried.append(1)
        raise Exception("The current node timed out during startup.")  # as Ray raises it

    monkeypatch.setattr(ray, "init", times_out)
    with (
        pytest.raises(MeasurementError, match=r"3 times[\s\S]*--executor processes"),
        open_executor("ray", make, Settings(1)),
    ):
        pass
    assert len(tried) == 3
