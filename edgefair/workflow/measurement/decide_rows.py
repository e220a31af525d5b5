"""Have a target decide every row."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress, timed
from edgefair.targets import LoadedModel, Probe
from edgefair.workflow.measurement.consistency import SecondAsking, outputs_of, unreadable

BATCH_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Decided:
    """What a target decided of some rows.

    Attributes:
        decisions: int64 [rows].
        score: P(class 1), float32 [rows], of a model with two classes that gives it; else None.
        encoding_s: seconds spent encoding, while the device was at work on the batch before.
        notes: what a reader of the verdict must know of how the rows were asked.
    """

    decisions: NDArray[np.int64]
    score: NDArray[np.float32] | None
    encoding_s: float
    notes: tuple[str, ...] = ()


@timed("deciding rows")
def decide_rows(probe: Probe, model: LoadedModel, rows: TableRows, spec: ModelSpec, progress: Progress) -> Decided:
    """Decide every row.

    In batches; where a row of a sample is decided otherwise when it is asked alone, as a device is asked, all rows are
    asked one by one.

    Raises:
        ModelError: the model's outputs are no decisions, or rows of one batch decide about each other.
        MeasurementError: the device was lost, contradicts itself, or returns outputs that the model cannot have.
    """
    again = SecondAsking(probe, model, rows, spec, rows.batch_rows(spec, BATCH_ROWS))
    decisions, score, seconds = _decisions(probe, model, rows, spec, progress, heard=again.note)
    changed = again.changed()
    if not changed:
        return Decided(decisions, score, seconds)
    alone, score, more = _decisions(probe, model, rows, spec, progress, one_by_one=True)
    again.confirm(alone)
    note = (
        f"target '{probe.profile.name}' decides {int(np.count_nonzero(alone != decisions)):,} of {len(rows):,} rows of "
        f"{model.name} differently alone than in a batch (they lie on the decision boundary): every row was run alone"
    )
    return Decided(alone, score, seconds + more, (note,))


def _decisions(
    probe: Probe,
    model: LoadedModel,
    rows: TableRows,
    spec: ModelSpec,
    progress: Progress,
    *,
    one_by_one: bool = False,
    heard: Callable[[int, NDArray[np.int64], NDArray[np.float32] | None], None] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32] | None, float]:
    """Decisions int64 [rows], scores as in `Decided`, and the seconds spent encoding.

    Args:
        heard: gets the position of the first row of every batch, its decisions and its scores.
    """
    way = ", one row at a time" if one_by_one else ""
    progress.stage(f"deciding {len(rows):,} rows on {probe.profile.name} ({model.name}){way}")
    size = rows.batch_rows(spec, BATCH_ROWS)
    clock = _Clock(rows.inputs(spec, size))
    parts: list[NDArray[np.int64]] = []
    scores: list[NDArray[np.float32]] = []
    done = 0
    for batch in probe.run(model, clock, outputs_of(spec), inputs=spec.inputs, one_by_one=one_by_one):
        try:
            decision, score = read_decisions(batch, spec.reading, len(spec.classes), model.step)
        except ValueError as error:
            sent = next(itertools.islice(rows.inputs(spec, size), len(parts), None))
            raise unreadable(probe, model, spec, sent, error) from error
        if heard is not None:
            heard(done, decision, score)
        parts.append(decision)
        if score is not None and len(spec.classes) == 2:
            scores.append(score[:, 1])
        done += len(decision)
        progress.step(done, len(rows), f"deciding ({model.name})")
    return np.concatenate(parts), np.concatenate(scores) if scores else None, clock.seconds


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
