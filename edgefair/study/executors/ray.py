"""Ray core tasks, on this machine or on a cluster whose nodes reach the study's folder by the same path."""

from __future__ import annotations

import logging
import socket
import uuid
from types import TracebackType
from typing import Any, Self

from edgefair.data.files.lazy import cores
from edgefair.errors import MeasurementError, missing_extra
from edgefair.study.executors.base import ONE_THREAD, Lost, Make, Settings, Work, check_workers, environment

# A node whose own processes take 15 s to start gives up, and no setting of Ray gives it more time
# (ray-project/ray#65983): on a busy machine the next try, whose files are in memory by then, may be faster.
STARTS = 3
# Of a node that is started here: what goes through it are names of cells and their rows.
STORE_BYTES = 128 << 20

REACHED_S = 10.0

# What this process, as a worker, carries out units with, and of which executor: Ray reuses workers.
_kept: tuple[str, Work] | None = None


class Ray:
    """`Executor` of Ray: a task takes a core, and is not tried again by Ray itself.

    Raises:
        UsageError: Ray is missing, or more workers than cores of this machine.
        MeasurementError: on entry, no cluster at the address, or no node that starts here; later, a cluster that is
            lost, or whose workers cannot load edgefair.
    """

    def __init__(self, make: Make, settings: Settings) -> None:
        try:
            import ray
        except ImportError as error:
            raise missing_extra("--executor ray", "ray", error) from error
        if settings.address is None:
            check_workers(settings.workers)
        self.workers = settings.workers or cores()
        self._ray: Any = ray
        self._make, self._settings = make, settings
        self._key = uuid.uuid4().hex
        self._running: dict[Any, Any] = {}

    @staticmethod
    def warm(module: str) -> None:
        """Nothing: Ray starts its workers itself, and loads in them what a unit needs."""

    def __enter__(self) -> Self:
        if self._settings.address is None:
            self._start_node()
        else:
            self._join(self._settings.address)
        self._task = self._ray.remote(num_cpus=1, max_retries=0)(_carry_out)
        self._shared = self._ray.put(self._make)
        return self

    def _start_node(self) -> None:
        for left in reversed(range(STARTS)):
            try:
                with environment(ONE_THREAD):
                    self._ray.init(
                        num_cpus=self.workers,
                        include_dashboard=False,
                        object_store_memory=STORE_BYTES,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                    )
            except Exception as error:  # Ray raises that itself where a node does not start in time
                self._ray.shutdown()
                if not left:
                    raise MeasurementError(
                        f"no node of Ray starts on this machine, {STARTS} times: {error}",
                        expected="processes of Ray that start within 15 s, which a busy machine may not let them",
                        fix="run it on an idle machine, start a node yourself (ray start --head) and name it by "
                        "--address auto, or take --executor processes",
                    ) from error
            else:
                return

    def _join(self, address: str) -> None:
        try:
            _reach(address)
            self._ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": dict(ONE_THREAD)},
            )
        except Exception as error:  # of many kinds, by what is wrong with the address
            self._ray.shutdown()
            raise MeasurementError(
                f"no cluster of Ray at '{address}': {str(error).strip() or type(error).__name__}",
                expected="the address of a running one, or auto for that of this machine",
                fix="start one (ray start --head), or omit --address",
            ) from error
        if self._settings.workers is None:
            self.workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()

    def submit(self, unit: Any) -> None:
        """Have one more unit carried out."""
        self._running[self._task.remote(self._shared, self._key, unit)] = unit

    def next(self) -> tuple[Any, Any]:
        """Wait for a unit that is finished, or whose worker or node was lost."""
        (ready, *_), _ = self._ray.wait([*self._running], num_returns=1)
        unit = self._running.pop(ready)
        all_errors = self._ray.exceptions
        lost = (
            all_errors.WorkerCrashedError,
            all_errors.NodeDiedError,
            all_errors.ObjectLostError,
            all_errors.OutOfMemoryError,
        )
        try:
            return unit, self._ray.get(ready)
        except lost as error:
            return unit, Lost(f"its worker was lost ({type(error).__name__})")
        except all_errors.RayError as error:
            raise MeasurementError(
                f"Ray cannot carry out cells: {_last_line(error)}",
                expected="a cluster that stays, of nodes with this version of edgefair",
                fix="fix it and run the same command: it goes on where it stopped",
            ) from error


def _reach(address: str) -> None:
    """See that somebody listens at `[ray://]HOST:PORT`: Ray itself would ask for minutes.

    Raises:
        OSError: nobody does.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), REACHED_S).close()


def _last_line(error: BaseException) -> str:
    """Behind the frames of a worker's trace, what was wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _carry_out(make: Make, key: str, unit: Any) -> Any:
    """In a worker: one unit, with what the worker keeps from the unit before."""
    global _kept  # noqa: PLW0603 - what a process keeps between tasks has no other place in Ray
    if _kept is None or _kept[0] != key:
        _kept = key, make()
    return _kept[1](unit)
