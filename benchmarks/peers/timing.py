"""How long queries take, of files that run in turns in one process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

PERCENTILE = 20
# Queries of a file in a turn; the first finds the caches full of another model's weights and is not counted.
BURST = 4
LEAST_ROUNDS = 5


def one_thread(path: Path, *, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    """A session of one thread; the graph that it runs goes to `optimized`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def race(
    sessions: Mapping[str, onnxruntime.InferenceSession], query: dict[str, NDArray[Any]], seconds: float
) -> dict[str, float]:
    """Milliseconds of the thread for one query: the 20th percentile, which other programs disturb little."""
    taken: dict[str, list[int]] = {name: [] for name in sessions}
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until or rounds < LEAST_ROUNDS:
        rounds += 1
        for name, session in sessions.items():
            for index in range(BURST):
                begin = time.thread_time_ns()
                session.run(None, query)
                if index:
                    taken[name].append(time.thread_time_ns() - begin)
    return {name: float(np.percentile(values, PERCENTILE)) / 1e6 for name, values in taken.items()}
