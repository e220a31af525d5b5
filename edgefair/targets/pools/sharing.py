"""Batches handed out to several devices as each has time for them, and their answers put back into order."""

from __future__ import annotations

import contextlib
import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edgefair.targets.connection import Arrays

# Batches that may be answered before an earlier one is: a slow device holds up to three, and nobody keeps more answers.
IN_HAND = 64
# A device counts as hung when it is silent for so many times as long as its slowest batch took, and for so long at
# least: a connection that broke is made anew in less. How often that is looked at.
PATIENCE, LEAST_SILENT_S = 20.0, 60.0
LOOK_S = 0.5


@dataclass
class Pace:
    """How a device gets on with its batches, by `time.monotonic`.

    Attributes:
        since: when it began with the batch that it is at; None where it has none.
        slowest_s: seconds that its slowest batch took; None before its first answer, which may build an engine.
    """

    since: float | None = None
    slowest_s: float | None = None

    def silent_s(self, now: float) -> float | None:
        """For how long it has been silent, where that is too long; None where it is not."""
        if self.since is None or self.slowest_s is None:
            return None
        silent = now - self.since
        return silent if silent > max(LEAST_SILENT_S, PATIENCE * self.slowest_s) else None


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
            self._shared.began(self)
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
        hung: is told the name of a device that is silent for too long while another one is not, and for how many
            seconds; once for each. It must not wait.
    """

    def __init__(self, batches: Iterable[Arrays], hung: Callable[[str, float], None]) -> None:
        self._hung = hung
        self._told: set[str] = set()
        self._paces: dict[str, Pace] = {}
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

    def began(self, hand: Hand) -> None:
        """A device was given a batch, which it begins with at once if it had none."""
        pace = self._paces.setdefault(hand.name, Pace())
        pace.since = time.monotonic() if pace.since is None else pace.since

    def answered(self, hand: Hand, outputs: Arrays) -> None:
        """A device has answered the first batch in its hand, and begins with the next."""
        with self._changed:
            number, _ = hand.unanswered.popleft()
            pace, now = self._paces[hand.name], time.monotonic()
            pace.slowest_s = max(pace.slowest_s or 0.0, now - (pace.since or now))
            pace.since = now if hand.unanswered else None
            self._answers[number] = hand.name, outputs
            self._changed.notify_all()

    def dropped(self, hand: Hand) -> None:
        """A device is lost: others answer what is left in its hand, and it takes no more."""
        with self._changed:
            hand.open = False
            self._paces.pop(hand.name, None)
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
            while not self._changed.wait_for(lambda: self._returned in self._answers or self._is_over, LOOK_S):
                self._look_for_hung()
            if self._failure is not None:
                raise self._failure
            if self._returned not in self._answers:
                return None
            self._returned += 1
            self._changed.notify_all()
            return self._answers.pop(self._returned - 1)

    def _look_for_hung(self) -> None:
        """Tell of devices that are silent for too long, unless all are: then it is no fault of one device."""
        now = time.monotonic()
        silent = {name: found for name, pace in self._paces.items() if (found := pace.silent_s(now)) is not None}
        if len(silent) == len(self._paces):
            return
        for name in silent.keys() - self._told:
            self._told.add(name)
            self._hung(name, silent[name])

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
