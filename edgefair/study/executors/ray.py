"""Ray core tasks, on this machine or on a cluster that reaches the study's folder by the same path."""

from __future__ import annotations

import uuid
from types import TracebackType
from typing import Any, Self

from edgefair.errors import UsageError, missing_extra
from edgefair.study.executors.base import ONE_THREAD, Lost, Make, Settings, Work, check_workers, cores

# What this process, as a worker, carries out units with, and of which executor: Ray reuses workers.
_kept: tuple[str, Work] | None = None


class Ray:
    """`Executor` of Ray: a task takes a core, and is not tried again by Ray itself.

    Raises:
        UsageError: Ray is missing, or more workers than cores of this machine.
    """

    def __init__(self, make: Make, settings: Settings) -> None:
        try:
            import ray
        except ImportError as error:
            raise missing_extra("--executor ray", "study", error) from error
        if settings.address is None:
            check_workers(settings.workers)
        self.workers = settings.workers or cores()
        self._ray: Any = ray
        self._make, self._settings = make, settings
        self._key = uuid.uuid4().hex
        self._running: dict[Any, Any] = {}

    def __enter__(self) -> Self:
        ray, address = self._ray, self._settings.address
        own: dict[str, Any] = {"num_cpus": self.workers, "include_dashboard": False} if address is None else {}
        try:
            ray.init(address=address, log_to_driver=False, runtime_env={"env_vars": dict(ONE_THREAD)}, **own)
        except Exception as error:  # Ray raises that itself where a node does not start in time
            raise UsageError(
                f"no Ray at '{address or 'this machine'}': {error}", fix="start one: ray start --head"
            ) from error
        if address is not None and self._settings.workers is None:
            self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._task = ray.remote(num_cpus=1, max_retries=0)(_carry_out)
        self._shared = ray.put(self._make)
        return self

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
        lost = self._ray.exceptions
        try:
            return unit, self._ray.get(ready)
        except (lost.WorkerCrashedError, lost.NodeDiedError, lost.ObjectLostError, lost.OutOfMemoryError) as error:
            return unit, Lost(f"its worker was lost ({type(error).__name__})")


def _carry_out(make: Make, key: str, unit: Any) -> Any:
    """In a worker: one unit, with what the worker keeps from the unit before."""
    global _kept  # noqa: PLW0603 - what a process keeps between tasks has no other place in Ray
    if _kept is None or _kept[0] != key:
        _kept = key, make()
    return _kept[1](unit)
