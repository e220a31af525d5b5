"""Have a target decide every row."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress, timed
from edgefair.targets import AnyProbe, LoadedModel
from edgefair.workflow.measurement.consistency import SecondAsking, outputs_of, unreadable
from edgefair.workflow.measurement.devices.alike import check_alike, rows_at_once

BATCH_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Decided:
    """What a target decided of some rows.

    Attributes:
        decisions: int64 [rows].
        score: P(class 1), float32 [rows], of a model with two classes that gives it; else None.
        encoding_s: seconds spent encoding, while the device was at work on the batch before.
        rows_by: how many of them each device decided, by its name.
        notes: what a reader of the verdict must know of how the rows were asked.
    """

    decisions: NDArray[np.int64]
    score: NDArray[np.float32] | None
    encoding_s: float
    rows_by: Counter[str]
    notes: tuple[str, ...] = ()


@timed("deciding rows")
def decide_rows(probe: AnyProbe, model: LoadedModel, rows: TableRows, spec: ModelSpec, progress: Progress) -> Decided:
    """Decide every row.

    In batches; where a row of a sample is decided otherwise when it is asked alone, as a device is asked, all rows are
    asked one by one.

    Raises:
        ModelError: the model's outputs are no decisions, or rows of one batch decide about each other.
        MeasurementError: the device was lost, contradicts itself, or returns outputs that the model cannot have.
    """
    size = rows_at_once(probe, len(rows), rows.batch_rows(spec, BATCH_ROWS))
    again = SecondAsking(probe, model, rows, spec, size)
    check_alike(probe, model, rows, spec, again.picked)
    first = _decisions(probe, model, rows, spec, progress, size, heard=again.note)
    changed = again.changed()
    if not changed:
        return first
    alone = _decisions(probe, model, rows, spec, progress, size, one_by_one=True)
    again.confirm(alone.decisions)
    differ = int(np.count_nonzero(alone.decisions != first.decisions))
    note = (
        f"target '{probe.profile.name}' decides {differ:,} of {len(rows):,} rows of {model.name} differently alone "
        "than in a batch (they lie on the decision boundary): every row was run alone"
    )
    return replace(alone, encoding_s=first.encoding_s + alone.encoding_s, notes=(note,))


def _decisions(
    probe: AnyProbe,
    model: LoadedModel,
    rows: TableRows,
    spec: ModelSpec,
    progress: Progress,
    size: int,
    *,
    one_by_one: bool = False,
    heard: Callable[[int, NDArray[np.int64], NDArray[np.float32] | None, str], None] | None = None,
) -> Decided:
    """Decisions of all rows, `size` at a time.

    Args:
        heard: gets the position of the first row of every batch, its decisions, its scores, and who answered.
    """
    way = ", one row at a time" if one_by_one else ""
    progress.stage(f"deciding {len(rows):,} rows on {probe.profile.name} ({model.name}){way}")
    clock = _Clock(rows.inputs(spec, size))
    parts: list[NDArray[np.int64]] = []
    scores: list[NDArray[np.float32]] = []
    rows_by: Counter[str] = Counter()
    done = 0
    for batch in probe.run(model, clock, outputs_of(spec), inputs=spec.inputs, one_by_one=one_by_one):
        try:
            decision, score = read_decisions(batch, spec.reading, len(spec.classes), model.step)
        except ValueError as error:
            sent = next(itertools.islice(rows.inputs(spec, size), len(parts), None))
            raise unreadable(probe, model, spec, sent, error) from error
        if heard is not None:
            heard(done, decision, score, probe.answered_by)
        parts.append(decision)
        rows_by[probe.answered_by] += len(decision)
        if score is not None and len(spec.classes) == 2:
            scores.append(score[:, 1])
        done += len(decision)
        progress.step(done, len(rows), f"deciding ({model.name})")
    score = np.concatenate(scores) if scores else None
    return Decided(np.concatenate(parts), score, clock.seconds, rows_by)


class _Clock:
    """Passes batches on and adds up how long it took to make them."""

    def __init__(self, batches: Iterator[dict[str, NDArray[Any]]]) -> None:
        self.batches = batches
        self.seconds = 0.0

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        return self

    def __next__(self) -> dict[str, NDArray[Any]]:
        started = time.perf_counter()
        try:
            return next(self.batches)
        finally:
            self.seconds += time.perf_counter() - started
