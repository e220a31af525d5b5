"""Single-stream latency: one query at a time, models interleaved so that drift hits all of them."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from edgefair.probe.clock.effective import effective_queries
from edgefair.probe.runtimes.base import Query, RemoteSession
from edgefair.probe.runtimes.models import Loaded

# How many times as many queries there must be before it is worth looking again what they tell.
LOOK_AGAIN = 1.25
# Rounds of about so many seconds are run in one go.
GO_S = 0.05


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

    It goes on until min_queries AND min_seconds (of queries, per model) are reached AND the queries of each
    model tell as much as min_effective_queries independent ones, or max_seconds are over; after that the host sees from
    the times that the rule was not met. Warming up takes max_seconds at most.

    Args:
        inputs: a pool of rows [pool, ...] per graph input; queries walk through it, batch 1.
        outputs: names of the outputs asked for, per model.
    """
    pool = len(next(iter(inputs.values())))
    rows = [{name: array[index : index + 1] for name, array in inputs.items()} for index in range(pool)]
    clock = time.perf_counter
    started = clock()
    for index in range(warmup):
        for name, model in models.items():
            model.run(rows[index % pool], outputs[name])
        if clock() - started >= max_seconds * len(models):
            break
    calls = {name: (model.session, list(outputs[name])) for name, model in models.items()}

    def rounds(numbers: Sequence[int]) -> Iterator[Tuple[str, int]]:
        asked = [(name, number % pool) for number in numbers for name in _turn(list(calls), *divmod(number, pool))]
        times = _times([(*calls[name], row) for name, row in asked], inputs, rows)
        return zip((name for name, _ in asked), times)

    samples: Dict[str, List[int]] = {name: [] for name in models}
    started = clock()
    done, wanted, go, busy = 0, min_queries, 1, 0
    while True:
        for name, nanoseconds in rounds(range(done, done + go)):
            samples[name].append(nanoseconds)
            busy += nanoseconds
        done += go
        seconds = clock() - started
        over = seconds >= max_seconds * len(models)
        if over or (done >= wanted and busy >= min_seconds * len(models) * 1e9):
            taken = {name: np.array(values, dtype=np.int64) for name, values in samples.items()}
            if over or min(map(effective_queries, taken.values())) >= min_effective_queries:
                return taken
            wanted = math.ceil(done * LOOK_AGAIN)
        go = max(1, int(GO_S * done / seconds))
        if done < wanted:
            go = min(go, wanted - done)


def is_elsewhere(models: Mapping[str, Loaded]) -> bool:
    """Whether the models run in another process, with cores, a clock and an energy of its own."""
    return all(isinstance(model.session, RemoteSession) for model in models.values())


def _turn(names: List[str], passes: int, index: int) -> List[str]:
    """Who goes first in the round that comes to this row in this pass over the pool."""
    return names[::-1] if (passes + index) % 2 else names


def _times(
    asked: Sequence[Query], pool: Mapping[str, np.ndarray], rows: Sequence[Mapping[str, np.ndarray]]
) -> Sequence[int]:
    """Nanoseconds of each query: around the call alone, by the clock of the process that answers it."""
    session = asked[0][0]
    if isinstance(session, RemoteSession):
        return session.query_times(asked, pool)
    times: List[int] = []
    append, clock = times.append, time.perf_counter_ns
    calls = [(session.run, names, rows[row]) for session, names, row in asked]
    for run, names, row in calls:
        begin = clock()
        run(names, row)
        append(clock() - begin)
    return times


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
