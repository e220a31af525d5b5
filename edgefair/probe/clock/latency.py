"""Single-stream latency: one query at a time, models interleaved so that drift hits all of them."""

from __future__ import annotations

import itertools
import time
from typing import Any, Callable, Dict, List, Mapping, Sequence

import numpy as np

from edgefair.probe.clock.effective import effective_queries
from edgefair.probe.runtimes.models import Loaded

# How many times as many queries there must be before it is worth looking again what they tell.
LOOK_AGAIN = 1.25


def measure(
    models: Mapping[str, Loaded],
    inputs: Mapping[str, np.ndarray],
    outputs: Mapping[str, Sequence[str]],
    *,
    warmup: int,
    min_queries: int,
    min_seconds: float,
    max_seconds: float,
    min_effective_queries: float = 0,
) -> Dict[str, np.ndarray]:
    """Nanoseconds of every query, int64 [queries] per model: A B B A ..., the same row for all models of a round.

    Every other round runs backwards, and every row in every other pass: who goes first pays for the row, 1 % of 18 us.

    It goes on until min_queries AND min_seconds (of the whole phase, per model) are reached AND the queries of each
    model tell as much as min_effective_queries independent ones, or max_seconds are over; after that the host sees from
    the times that the rule was not met. Warming up takes max_seconds at most.

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
    orders = (calls, calls[::-1])
    started = clock()
    done, next_look = 0, 0.0
    while True:
        passes, index = divmod(done, pool)
        row = rows[index]
        for append, run, names in orders[(passes + index) % 2]:
            begin = clock()
            run(names, row)
            append(clock() - begin)
        done += 1
        seconds = (clock() - started) / 1e9
        over = seconds >= max_seconds * len(calls)
        if not over and (done < max(min_queries, next_look) or seconds < min_seconds * len(calls)):
            continue
        times = {name: np.array(values, dtype=np.int64) for name, values in samples.items()}
        if over or min(map(effective_queries, times.values())) >= min_effective_queries:
            return times
        next_look = done * LOOK_AGAIN


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
