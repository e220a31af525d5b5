"""Columns whose cells are made when they are needed: pictures and texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.probe.onnx_files.spec import InputSpec
from edgefair.probe.system.linux import core_count


class LazyColumn(ABC):
    """One cell per row, made on demand. `hashes` identifies the cells without making them.

    Attributes:
        kind: what the cells are, for messages ("pictures", "texts").
        hashes: a hash of the content of every cell, uint64 [rows].
    """

    kind: ClassVar[str]
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
    """Cores that this process may use, each of which gets a thread that makes cells."""
    return core_count() or 1


def ahead(
    make: Callable[[int, int], dict[str, NDArray[Any]]], rows: int, batch_rows: int
) -> Iterator[dict[str, NDArray[Any]]]:
    """Batches in order, each made by a thread while the ones before it are in use; a few batches are held at a time."""
    threads = cores()
    starts = iter(range(0, rows, batch_rows))
    waiting: deque[Future[dict[str, NDArray[Any]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                while len(waiting) <= threads and (start := next(starts, None)) is not None:
                    waiting.append(pool.submit(make, start, min(start + batch_rows, rows)))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
