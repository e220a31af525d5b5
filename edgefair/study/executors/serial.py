"""One unit after the other, in this process."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any, Self

from edgefair.errors import UsageError
from edgefair.study.executors.base import Make, Settings, Work


class Serial:
    """`Executor` without another process.

    Raises:
        UsageError: more than one worker, or a cluster.
    """

    workers = 1

    def __init__(self, make: Make, settings: Settings) -> None:
        if settings.workers not in {None, 1} or settings.address is not None:
            raise UsageError(
                "the executor 'serial' is this process alone", fix="--executor processes --workers N, or --executor ray"
            )
        self._make = make
        self._work: Work | None = None
        self._waiting: deque[Any] = deque()

    @staticmethod
    def warm(module: str) -> None:
        """Nothing: this process loads it when it needs it."""

    def __enter__(self) -> Self:
        self._work = self._make()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close = getattr(self._work, "close", None)
        if close is not None:
            close()

    def submit(self, unit: Any) -> None:
        """Have one more unit carried out."""
        self._waiting.append(unit)

    def next(self) -> tuple[Any, Any]:
        """Carry out the oldest unit."""
        unit = self._waiting.popleft()
        if self._work is None:
            raise RuntimeError("an executor is a context manager")
        return unit, self._work(unit)
