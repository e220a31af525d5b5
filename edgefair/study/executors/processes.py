"""Several processes of this machine, one thread each.

On Linux they are forked from a process that has loaded what they need and does nothing else, so that it is loaded once
and beside what this process does meanwhile. That process has one thread: a fork would lose others, and their locks
would stay locked. Elsewhere system libraries start threads, or there is no fork, and every process loads it for itself.
So it does where the folder for temporary files has a name that leaves no room for that of a socket.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgefair.data.files.lazy import cores
from edgefair.errors import UsageError
from edgefair.study.executors.base import ONE_THREAD, Lost, Make, Settings, check_workers, environment

ENDS_S = 5.0
# Bytes of a folder in which `multiprocessing` can place a socket: an address has 107, its own part about 35.
SOCKET_FOLDER_BYTES = 70


def forks() -> bool:
    """Whether workers are forked here."""
    return sys.platform == "linux" and len(os.fsencode(tempfile.gettempdir())) <= SOCKET_FOLDER_BYTES


@dataclass(eq=False)
class _Worker:
    """A process, the way to talk to it, and the end whose closing tells it that this process has gone."""

    process: BaseProcess
    line: Connection
    life: Connection
    unit: Any = None


class Processes:
    """`Executor` with a process for every worker. A process that dies loses its unit and is replaced.

    Raises:
        UsageError: more workers than cores, or a cluster.
    """

    def __init__(self, make: Make, settings: Settings) -> None:
        if settings.address is not None:
            raise UsageError("the executor 'processes' is of this machine", fix="--executor ray --address ADDRESS")
        check_workers(settings.workers)
        self.workers = settings.workers or cores()
        self._make = make
        self._context: Any = multiprocessing.get_context("forkserver" if forks() else "spawn")
        self._waiting: deque[Any] = deque()
        self._pool: list[_Worker] = []

    @staticmethod
    def warm(module: str) -> None:
        """See `edgefair.study.executors.warm`. Where the program has such a process already, that one is taken."""
        if forks():
            from multiprocessing import forkserver

            forkserver.set_forkserver_preload([module])
            # It is told where this process finds modules; by itself it would look in the working folder first.
            places = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
            with environment(ONE_THREAD | {"PYTHONPATH": places, "PYTHONSAFEPATH": "1"}):
                forkserver.ensure_running()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._pool:
            worker.line.close()  # who has no unit returns, and tidies up
            if worker.unit is not None:
                worker.life.close()
        for worker in self._pool:
            worker.process.join(ENDS_S)
            worker.life.close()
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def submit(self, unit: Any) -> None:
        """Have one more unit carried out; a process is started for it where none is idle."""
        self._waiting.append(unit)
        self._hand_out()

    def next(self) -> tuple[Any, Any]:
        """Wait for a unit that is finished, or whose process died."""
        busy = {worker.line: worker for worker in self._pool if worker.unit is not None}
        ready = [line for line in wait([*busy]) if line in busy]
        worker = busy[ready[0]]
        unit, worker.unit = worker.unit, None
        try:
            found = worker.line.recv()
        except (EOFError, OSError):
            found = self._buried(worker)
        self._hand_out()
        return unit, found

    def _hand_out(self) -> None:
        while self._waiting:
            idle = next((worker for worker in self._pool if worker.unit is None), None)
            if idle is None and len(self._pool) < self.workers:
                idle = self._started()
            if idle is None:
                return
            unit = self._waiting.popleft()
            try:
                idle.line.send(unit)
            except OSError:  # it died while it was idle
                self._buried(idle)
                self._waiting.appendleft(unit)
                continue
            idle.unit = unit

    def _buried(self, worker: _Worker) -> Lost:
        worker.life.close()
        worker.line.close()
        worker.process.join(ENDS_S)
        self._pool.remove(worker)
        code = worker.process.exitcode
        return Lost(
            f"its process was killed by signal {-code}" if code is not None and code < 0 else "its process ended"
        )

    def _started(self) -> _Worker:
        line, far = self._context.Pipe()
        hears, life = self._context.Pipe(duplex=False)
        found = {**os.environ, **ONE_THREAD}
        process = self._context.Process(target=_serve, args=(self._make, far, hears, found), daemon=True)
        with environment(ONE_THREAD):
            process.start()
        far.close()
        hears.close()
        worker = _Worker(process, line, life)
        self._pool.append(worker)
        return worker


def _serve(make: Make, line: Connection, hears: Connection, found: Mapping[str, str]) -> None:
    """A worker: units in, what they gave out, until the process that started it goes.

    Args:
        found: its environment, whatever that of the process is that it was forked from.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who interrupts the study ends it
    os.environ.clear()
    os.environ.update(found)
    threading.Thread(target=_ends_with, args=(hears,), daemon=True).start()
    work = make()
    with contextlib.suppress(EOFError, OSError):
        while True:
            line.send(work(line.recv()))


def _ends_with(hears: Connection) -> None:
    """Leave at once when the other process is gone, however it went: nobody waits for this unit."""
    with contextlib.suppress(EOFError, OSError):
        hears.recv()
    os._exit(1)
