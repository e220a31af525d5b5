"""Single-stream latency: one query at a time, models interleaved so that drift hits all of them."""

from __future__ import annotations

import itertools
import time
from typing import Any, Callable, Dict, List, Mapping, Sequence

import numpy as np

from edgefair.probe.runtimes.models import Loaded


def measure(
    models: Mapping[str, Loaded],
    inputs: Mapping[str, np.ndarray],
    outputs: Mapping[str, Sequence[str]],
    *,
    warmup: int,
    min_queries: int,
    min_seconds: float,
    max_seconds: float,
) -> Dict[str, np.ndarray]:
    """Nanoseconds of every query, int64 [queries] per model: A B A B ..., the same row for all models of a round.

    It goes on until min_queries AND min_seconds (of the whole phase, per model) are reached, or max_seconds are over;
    after that the host sees from the count that the rule was not met. Warming up takes max_seconds at most.

    Args:
        inputs: a pool of rows [pool, ...] per graph input; queries walk through it, batch 1.
        outputs: names of the outputs asked for, per model.
    """
    pool = len(next(iter(inputs.values())))
    rows = [{name: array[index : index + 1] for name, array in inputs.items()} for index in range(pool)]
    clock = time.perf_counter_ns
    started = clock()
    for index in range(warmup):
        for name, model in models.items():
            model.run(rows[index % pool], outputs[name])
        if clock() - started >= max_seconds * len(models) * 1e9:
            break
    samples: Dict[str, List[int]] = {name: [] for name in models}
    calls = [(samples[name].append, model.session.run, list(outputs[name])) for name, model in models.items()]
    started = clock()
    done = 0
    while True:
        row = rows[done % pool]
        for append, run, names in calls:
            begin = clock()
            run(names, row)
            append(clock() - begin)
        done += 1
        seconds = (clock() - started) / 1e9
        if (done >= min_queries and seconds >= min_seconds * len(calls)) or seconds >= max_seconds * len(calls):
            return {name: np.array(values, dtype=np.int64) for name, values in samples.items()}


def queries(
    models: Mapping[str, Loaded], inputs: Mapping[str, np.ndarray], outputs: Mapping[str, Sequence[str]]
) -> Dict[str, Callable[[], Any]]:
    """Of each model, a function that runs its next query: the rows of the pool again and again, batch 1."""

    def endless(model: Loaded, names: List[str]) -> Callable[[], Any]:
        rows = itertools.cycle(range(len(next(iter(inputs.values())))))

        def query() -> Any:
            index = next(rows)
            return model.session.run(names, {name: array[index : index + 1] for name, array in inputs.items()})

        return query

    return {name: endless(model, list(outputs[name])) for name, model in models.items()}
