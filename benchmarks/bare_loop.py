"""A bare onnxruntime loop in a process of its own, as a script would be that has nothing else to do.

Beside the host's own work it would be measured with that: a process that has just kept a processor busy is moved about
by the system's scheduler for a while, and so is what runs next.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

import numpy as np
import onnxruntime

OUTPUTS = ["decision", "score"]
Batches = Sequence[Mapping[str, np.ndarray]]


class BareLoop:
    """Runs batches that are encoded already, and throws the outputs away."""

    def __init__(self, model: Path, batches: Batches, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_loop, args=(theirs, model, batches, threads), daemon=True)

    def __enter__(self) -> BareLoop:
        self._process.start()
        self._pipe.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()

    def seconds(self) -> float:
        """Of one pass over all batches."""
        self._pipe.send("go")
        taken: float = self._pipe.recv()
        return taken


def _loop(pipe: Connection, model: Path, batches: Batches, threads: int) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    pipe.send("ready")
    while True:
        pipe.recv()
        started = time.perf_counter()
        for batch in batches:
            session.run(OUTPUTS, batch)
        pipe.send(time.perf_counter() - started)
