"""Batches that are made once and go to two models, each of which has a sender of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Once(Generic[Made]):
    """What an iterator gives, for two readers in threads of their own, in order and whole for each.

    Who reads them keeps step, or what one has read and the other has not grows.
    """

    def __init__(self, source: Iterator[Made]) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._waiting: tuple[deque[Made], deque[Made]] = (deque(), deque())
        self._failure: BaseException | None = None

    def readers(self) -> tuple[Iterator[Made], Iterator[Made]]:
        """One for each.

        Raises:
            BaseException: what the iterator raised, for both, after all that it had given.
        """
        return self._reader(0), self._reader(1)

    def _reader(self, which: int) -> Iterator[Made]:
        mine = self._waiting[which]
        while True:
            with self._lock:
                if not mine:
                    self._make()
                if not mine:
                    break
                item = mine.popleft()
            yield item
        if self._failure is not None:
            raise self._failure

    def _make(self) -> None:
        """Ask for the next, unless there is none."""
        if self._failure is not None:
            return
        try:
            item = next(self._source)
        except StopIteration:
            return
        except BaseException as error:
            self._failure = error
            return
        for queue in self._waiting:
            queue.append(item)
