"""What an executor is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from edgefair.errors import UsageError

# Read by what computes with threads, when it is loaded.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# A unit of work in, what it gave out; both can be pickled.
Work = Callable[[Any], Any]
Make = Callable[[], Work]


@dataclass(frozen=True)
class Settings:
    """How an executor works.

    Attributes:
        workers: how many units at a time; None: as many as there are cores for.
        address: of a cluster of Ray; None: this machine.
    """

    workers: int | None = None
    address: str | None = None


@dataclass(frozen=True)
class Lost:
    """A unit whose worker died, and how; another worker has taken its place."""

    why: str


class Executor(Protocol):
    """Carries out units of work. Whoever hands them out says in which order they can be.

    Attributes:
        workers: units that run at a time; more of them wait.
    """

    workers: int

    @staticmethod
    def warm(module: str) -> None:
        """See `edgefair.study.executors.warm`."""
        ...

    def __enter__(self) -> Self:
        """Start what carries out the units."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, with the units that run."""
        ...

    def submit(self, unit: Any) -> None:
        """Have one more unit carried out."""
        ...

    def next(self) -> tuple[Any, Any]:
        """Wait for a unit that is finished: the unit, and what it gave, or that it is `Lost`."""
        ...


@contextlib.contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """What a process that is started in this block finds in its environment, beside the rest."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def check_workers(workers: int | None) -> None:
    """Refuse more workers than cores of this machine (UsageError)."""
    from edgefair.data.files.lazy import cores

    if workers is not None and workers > cores():
        raise UsageError(f"{workers} workers for {cores()} cores", expected="at most one each: they would only wait")
