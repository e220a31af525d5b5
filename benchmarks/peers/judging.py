"""What a file is worth: its decisions on the audit rows, and its time beside the others'."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from peers.rows import Rows

from edgefair.measure.counts import GroupCounts
from edgefair.measure.metrics import equalized_odds_difference
from edgefair.probe.runtimes.models import Loaded, load

ONE_THREAD = {"threads": 1, "providers": ["CPUExecutionProvider"], "optimization": "all", "config": {}}
BATCH = 16
POOL = 64
WARMUP = 3
# Queries of one model in a turn. The first one finds the caches full of another model's weights.
BURST = 8
LEAST_ROUNDS = 10


def open_model(path: Path) -> Loaded:
    """A session of one thread."""
    return load(str(path), ONE_THREAD)


@dataclass(frozen=True, eq=False)
class Quality:
    """Decisions int64 [rows], accuracy, and the equalized odds difference between the two groups."""

    decision: NDArray[np.int64]
    accuracy: float
    gap: float


def judge(model: Loaded, rows: Rows) -> Quality:
    """Decide about every row; a file that quantizes while it runs gets one row at a time."""
    parts = []
    for start in range(0, len(rows), BATCH):
        batch = {name: x[start : start + BATCH] for name, x in rows.inputs.items()}
        parts.append(model.run(batch, ["decision"])["decision"])
    decision = np.concatenate(parts).astype(np.int64)
    group = np.where(rows.group == rows.group.min(), "first", "second")
    counts = GroupCounts.from_rows({"group": group}, label=rows.label, decision=decision, classes=("0", "1"))
    gap = equalized_odds_difference(counts)
    if gap is None:
        raise SystemExit("the audit rows lack a label in one of the groups")
    return Quality(decision, float((decision == rows.label).mean()), gap)


@dataclass(frozen=True, eq=False)
class Times:
    """Nanoseconds of queries of one model, in the order in which they were taken.

    Attributes:
        warm: every query of a turn but the first, int64 [rounds * (BURST - 1)].
        cold: the first query of every turn, int64 [rounds].
    """

    warm: NDArray[np.int64]
    cold: NDArray[np.int64]


def race(models: Mapping[str, Loaded], rows: Rows, *, seconds: float, most_seconds: float) -> dict[str, Times]:
    """Batch 1, in turns of BURST queries, whose order is drawn in every round; a round has the same rows for all.

    It goes on for `seconds` and LEAST_ROUNDS, but not longer than `most_seconds`.
    """
    queries = [{name: x[index : index + 1] for name, x in rows.inputs.items()} for index in range(min(POOL, len(rows)))]
    runs = {name: model.session.run for name, model in models.items()}
    for run in runs.values():
        for query in queries[:WARMUP]:
            run(["decision"], query)
    rng = np.random.default_rng(0)
    names, clock = list(models), time.perf_counter_ns
    times: dict[str, list[list[int]]] = {name: [] for name in names}
    started = clock()
    rounds = 0
    while True:
        turn = [queries[(rounds * BURST + index) % len(queries)] for index in range(BURST)]
        for index in rng.permutation(len(names)):
            run, taken = runs[names[index]], []
            for query in turn:
                begin = clock()
                run(["decision"], query)
                taken.append(clock() - begin)
            times[names[index]].append(taken)
        rounds += 1
        passed = (clock() - started) / 1e9
        if (passed >= seconds and rounds >= LEAST_ROUNDS) or passed >= most_seconds:
            found = {name: np.array(values, dtype=np.int64) for name, values in times.items()}
            return {name: Times(values[:, 1:].ravel(), values[:, 0]) for name, values in found.items()}
