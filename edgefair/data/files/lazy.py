"""Columns whose cells are made when they are needed: pictures and texts."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefair.probe.onnx_files.spec import InputSpec
from edgefair.probe.system.linux import core_count

Work = TypeVar("Work")
Made = TypeVar("Made")


class LazyColumn(ABC):
    """One cell per row, made on demand. `hashes` identifies the cells without making them.

    Attributes:
        kind: what the cells are, for messages ("pictures", "texts").
        coincide: whether chance makes two of them equal: people write "thank you".
        hashes: a hash of the content of every cell, uint64 [rows].
    """

    kind: ClassVar[str]
    coincide: ClassVar[bool] = False
    hashes: NDArray[np.uint64]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, rows: NDArray[np.int64]) -> Self:
        """The given rows."""

    @abstractmethod
    def encoder(self, item: InputSpec) -> Callable[[int, int], NDArray[Any]]:
        """What makes rows start to stop (exclusive) into the graph input `item`; safe from several threads.

        Raises:
            DataError: the input takes something else than these cells.
        """


def cores() -> int:
    """Cores that this process may use."""
    return core_count() or 1


def makers() -> int:
    """Threads that make cells: one for every core, or as many as OMP_NUM_THREADS leaves this process.

    A study's worker and a process of a launcher are told so how many of the machine's cores are theirs.
    """
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(cores(), int(told)) if told.isdecimal() and int(told) else cores()


def ahead(make: Callable[[Work], Made], work: Iterable[Work]) -> Generator[Made, None, None]:
    """What `make` gives for every piece of work, in order, each made by a thread while those before it are in use.

    Pillow decodes without holding Python's lock. One piece more than there are threads is under way or waits at a
    time. Where this process has one thread, pieces are made when they are asked for. Closed or failed, it leaves no
    thread behind.
    """
    threads = makers()
    if threads == 1:
        yield from map(make, work)
        return
    pieces = iter(work)
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                waiting.extend(pool.submit(make, piece) for piece in islice(pieces, threads + 1 - len(waiting)))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
