"""What a model costs a device beside its queries: time to load it, and memory."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Mapping, Sequence

import numpy as np

from edgefair.probe.runtimes.models import Loaded

# A limit of the median of n loads errs with probability 2^-n.
LOADS = 10
# Loading again ends after this long, with as many loads as there are; what took longer than MOST_S is not loaded again.
SECONDS = 1.0
MOST_S = 60.0
# Queries after which memory is looked at: a runtime plans its arena in the first ones.
QUERIES = 8


def footprint(
    model: Loaded, load_again: Callable[[], Loaded], row: Mapping[str, np.ndarray], outputs: Sequence[str]
) -> Dict[str, Any]:
    """Nanoseconds of every load of a model, and bytes that it takes, at its peak, to load it and to query it.

    Args:
        model: loaded as the first of this process.
        load_again: loads the same file once more.
        row: inputs of one row.

    Raises:
        ProbeError: the runtime fails.
    """
    for _ in range(QUERIES):
        model.run(row, outputs, one_by_one=True)
    peak = model.memory.peak()
    loads = [model.load_ns]
    started = time.perf_counter()
    while model.load_ns < MOST_S * 1e9 and len(loads) < LOADS and time.perf_counter() - started < SECONDS:
        loads.append(load_again().load_ns)
    return {"load_ns": loads, "load_bytes": model.load_bytes, "peak_bytes": peak}
