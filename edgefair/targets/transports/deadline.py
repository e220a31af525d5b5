"""One thread that keeps the time for all questions to a device: one for each would take longer than most answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NEVER = float("inf")


class Deadline:
    """Calls `passed` where a block takes too long. One block at a time; a thread runs from the first one to `close`."""

    def __init__(self, passed: Callable[[float], None]) -> None:
        self._passed = passed
        self._changed = threading.Condition()
        self._seconds = 0.0
        self._end = self._wakes = NEVER
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """A block that may take so long; beyond that, `passed` is called with the seconds while it goes on."""
        with self._changed:
            self._seconds, self._end = seconds, time.monotonic() + seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()
            elif self._end < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._end = NEVER

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                left = self._end - time.monotonic()
                if left <= 0:
                    self._end = NEVER
                    self._passed(self._seconds)
                else:
                    # Who sets a later end need not wake anybody: it is looked at again when this one has come.
                    self._wakes = self._end
                    self._changed.wait(None if self._end == NEVER else left)
