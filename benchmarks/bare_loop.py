"""A bare onnxruntime loop in a process of its own, as a script would be that has nothing else to do.

Beside the host's own work it would be measured with that: a process that has just kept a processor busy is moved about
by the system's scheduler for a while, and so is what runs next.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import onnxruntime

Batches = Sequence[Mapping[str, np.ndarray]]


@contextlib.contextmanager
def bare_loop(model: Path, batches: Batches, threads: int) -> Iterator[Callable[[], float]]:
    """A function that runs batches, which are encoded already, throws the outputs away, and gives the seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_loop, args=(theirs, model, batches, threads), daemon=True)
    process.start()
    ours.recv()

    def seconds() -> float:
        ours.send("go")
        taken: float = ours.recv()
        return taken

    try:
        yield seconds
    finally:
        process.kill()
        process.join()


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
            session.run(["decision", "score"], batch)
        pipe.send(time.perf_counter() - started)
