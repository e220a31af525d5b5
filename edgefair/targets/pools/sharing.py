"""Batches handed out to several devices as each has time for them, and their answers put back into order."""

from __future__ import annotations

import contextlib
import heapq
import threading
from collections import deque
from collections.abc import Iterable, Iterator

from edgefair.targets.connection import Arrays

# Batches that may be answered before an earlier one is: a slow device holds up to three, and nobody keeps more answers.
IN_HAND = 64


class Hand:
    """What one device takes out of the common batches, in the order in which it answers.

    Iterating never waits for other devices: it ends where there is nothing to take for now.
    """

    def __init__(self, shared: Shared, name: str) -> None:
        self.name = name
        self.open = True
        self.unanswered: deque[tuple[int, Arrays]] = deque()
        self._shared = shared

    def takes(self, number: int, batch: Arrays) -> bool:
        """Whether it takes a batch: not if it was dropped while the batch was made."""
        if self.open:
            self.unanswered.append((number, batch))
        return self.open

    def __iter__(self) -> Iterator[Arrays]:
        return self

    def __next__(self) -> Arrays:
        batch = self._shared.take(self)
        if batch is None:
            raise StopIteration
        return batch


class Shared:
    """The batches of one run. A batch is answered once: what a lost device did not answer is handed out again.

    Args:
        batches: in order; they are made one at a time, by whoever takes the next.
    """

    def __init__(self, batches: Iterable[Arrays]) -> None:
        self._source = iter(batches)
        self._making = threading.Lock()
        self._changed = threading.Condition()
        self._given_back: list[tuple[int, Arrays]] = []
        self._answers: dict[int, tuple[str, Arrays]] = {}
        self._made = self._returned = 0
        self._exhausted = self._closed = False
        self._failure: BaseException | None = None

    def take(self, hand: Hand) -> Arrays | None:
        """The next batch for a device; None where there is none for now."""
        with self._making:
            with self._changed:
                if not hand.open or not self._has_work:
                    return None
                if self._given_back:
                    number, batch = heapq.heappop(self._given_back)
                    hand.takes(number, batch)
                    return batch
            try:
                batch = next(self._source)
            except StopIteration:
                self._ended(None)
                return None
            except BaseException as error:
                self._ended(error)
                return None
            with self._changed:
                self._made += 1
                if hand.takes(self._made - 1, batch):
                    return batch
                self._give_back([(self._made - 1, batch)])
                return None

    def answered(self, hand: Hand, outputs: Arrays) -> None:
        """A device has answered the first batch in its hand."""
        with self._changed:
            number, _ = hand.unanswered.popleft()
            self._answers[number] = hand.name, outputs
            self._changed.notify_all()

    def dropped(self, hand: Hand) -> None:
        """A device is lost: others answer what is left in its hand, and it takes no more."""
        with self._changed:
            hand.open = False
            self._give_back(hand.unanswered)
            hand.unanswered.clear()

    def fail(self, error: BaseException) -> None:
        """The run cannot go on; the first reason counts."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody wants more answers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_for_work(self) -> bool:
        """Whether there is a batch to take, now or after a while: another device may yet be lost."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_work or self._is_over)
            return not self._is_over

    def next_answer(self) -> tuple[str, Arrays] | None:
        """Who answered the next batch, and what; None after the last.

        Raises:
            BaseException: why the run cannot go on.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._returned in self._answers or self._is_over)
            if self._failure is not None:
                raise self._failure
            if self._returned not in self._answers:
                return None
            self._returned += 1
            self._changed.notify_all()
            return self._answers.pop(self._returned - 1)

    @property
    def _has_work(self) -> bool:
        if self._is_over:
            return False
        return bool(self._given_back) or (not self._exhausted and self._made - self._returned < IN_HAND)

    @property
    def _is_over(self) -> bool:
        ended = self._exhausted and self._made == self._returned + len(self._answers)
        return ended or self._closed or self._failure is not None

    def _ended(self, error: BaseException | None) -> None:
        with self._changed:
            self._exhausted = True
            self._failure = self._failure or error
            self._changed.notify_all()

    def _give_back(self, items: Iterable[tuple[int, Arrays]]) -> None:
        for item in items:
            heapq.heappush(self._given_back, item)
        self._changed.notify_all()


@contextlib.contextmanager
def working(threads: Iterable[threading.Thread]) -> Iterator[None]:
    """Threads that have ended when this does."""
    started = list(threads)
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        for thread in started:
            thread.join()
