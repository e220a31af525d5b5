"""Have a target decide every row."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import Growing, slices
from edgefair.data.rows import TableRows
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress, timed
from edgefair.targets import AnyProbe, LoadedModel
from edgefair.workflow.measurement.consistency import SecondAsking, outputs_of, unreadable
from edgefair.workflow.measurement.devices.alike import check_alike, rows_at_once
from edgefair.workflow.measurement.devices.once import Once

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


@dataclass(frozen=True, eq=False)
class Asking:
    """A model that is loaded on a target, and how it is fed and read."""

    probe: AnyProbe
    model: LoadedModel
    spec: ModelSpec


@timed("deciding rows")
def decide_rows(probe: AnyProbe, model: LoadedModel, rows: TableRows, spec: ModelSpec, progress: Progress) -> Decided:
    """Decide every row.

    In batches; where a row of a sample is decided otherwise when it is asked alone, as a device is asked, all rows are
    asked one by one.

    Raises:
        ModelError: the model's outputs are no decisions, or rows of one batch decide about each other.
        MeasurementError: the device was lost, contradicts itself, or returns outputs that the model cannot have.
    """
    deciding = _InBatches(Asking(probe, model, spec), rows, progress)
    clock = _Clock(rows.inputs(spec, deciding.size))
    for _ in deciding.answers(clock):
        deciding.show()
    return deciding.settled(clock.seconds)


@timed("deciding rows")
def decide_rows_with_both(one: Asking, other: Asking, rows: TableRows, progress: Progress) -> tuple[Decided, Decided]:
    """As `decide_rows`, by two models on probes of their own that take the same inputs: every batch is made once, and
    both are at work on it at a time. What making them took stands with the first.

    Raises:
        ModelError, MeasurementError: see `decide_rows`.
    """
    both = tuple(_InBatches(asking, rows, progress) for asking in (one, other))
    clock = _Clock(rows.inputs(one.spec, both[0].size))
    with ExitStack() as ending:
        # In step, so that no batch waits for long; where one fails, the other ends with it.
        streams = [
            ending.enter_context(closing(deciding.answers(batches)))
            for deciding, batches in zip(both, Once(clock).readers(), strict=True)
        ]
        for _ in zip(*streams, strict=True):
            both[0].show()
    return both[0].settled(clock.seconds), both[1].settled(0.0)


class _InBatches:
    """One pass of a model over all rows, and what comes after it.

    Attributes:
        size: rows of a batch.
    """

    def __init__(self, asking: Asking, rows: TableRows, progress: Progress) -> None:
        self._asking, self._rows, self._progress = asking, rows, progress
        self.size = rows_at_once(asking.probe, len(rows), rows.batch_rows(asking.spec, BATCH_ROWS))
        self._again = SecondAsking(asking.probe, asking.model, rows, asking.spec, self.size)
        check_alike(asking.probe, asking.model, rows, asking.spec, self._again.picked)
        self._found = _Found(len(rows))

    def answers(self, batches: Iterator[dict[str, NDArray[Any]]]) -> Generator[None, None, None]:
        """Decide them, batch by batch."""
        self._say("")
        yield from _answers(self._asking, self._rows, batches, self.size, self._found, heard=self._again.note)

    def show(self) -> None:
        """Tell how far it is."""
        self._progress.step(self._found.done, len(self._rows), f"deciding ({self._asking.model.name})")

    def settled(self, encoding_s: float) -> Decided:
        """The decisions, all of them made alone where some of the sample are others then."""
        first = self._found.decided(encoding_s)
        changed = self._again.changed()
        if not changed:
            return first
        self._found = _Found(len(self._rows))
        self._say(", one row at a time")
        asking, rows = self._asking, self._rows
        clock = _Clock(rows.inputs(asking.spec, self.size))
        for _ in _answers(asking, rows, clock, self.size, self._found, one_by_one=True):
            self.show()
        alone = self._found.decided(encoding_s + clock.seconds)
        self._again.confirm(alone.decisions)
        one, other = alone.decisions, first.decisions
        differ = sum(int(np.count_nonzero(one[part] != other[part])) for part in slices(len(rows), one, other))
        note = (
            f"target '{asking.probe.profile.name}' decides {differ:,} of {len(rows):,} rows of {asking.model.name} "
            "differently alone than in a batch (they lie on the decision boundary): every row was run alone"
        )
        return replace(alone, notes=(note,))

    def _say(self, way: str) -> None:
        name, model = self._asking.probe.profile.name, self._asking.model.name
        self._progress.stage(f"deciding {len(self._rows):,} rows on {name} ({model}){way}")


class _Found:
    """What was answered so far, of so many rows."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._decisions = Growing(np.int64, rows)
        self._score: Growing | None = None
        self.rows_by: Counter[str] = Counter()
        self.batches = 0

    @property
    def done(self) -> int:
        """Rows that were answered."""
        return len(self._decisions)

    def add(self, decision: NDArray[np.int64], score: NDArray[np.float32] | None, by: str) -> None:
        """One batch more: decisions [n], P(class 1) [n] if any, and who answered."""
        self.batches += 1
        self._decisions.append(decision)
        self.rows_by[by] += len(decision)
        if score is not None:
            self._score = self._score or Growing(np.float32, self._rows)
            self._score.append(score)

    def decided(self, encoding_s: float) -> Decided:
        """All of it."""
        score = None if self._score is None else self._score.column
        return Decided(self._decisions.column, score, encoding_s, self.rows_by)


def _answers(
    asking: Asking,
    rows: TableRows,
    batches: Iterator[dict[str, NDArray[Any]]],
    size: int,
    found: _Found,
    *,
    one_by_one: bool = False,
    heard: Callable[[int, NDArray[np.int64], NDArray[np.float32] | None, str], None] | None = None,
) -> Generator[None, None, None]:
    """Have `batches`, all rows `size` at a time, decided; what is answered is put into `found`, batch by batch.

    Args:
        heard: gets the position of the first row of every batch, its decisions, its scores, and who answered.
    """
    probe, model, spec = asking.probe, asking.model, asking.spec
    for batch in probe.run(model, batches, outputs_of(spec), inputs=spec.inputs, one_by_one=one_by_one):
        try:
            decision, score = read_decisions(batch, spec.reading, len(spec.classes), model.step)
        except ValueError as error:
            sent = next(itertools.islice(rows.inputs(spec, size), found.batches, None))
            raise unreadable(probe, model, spec, sent, error) from error
        if heard is not None:
            heard(found.done, decision, score, probe.answered_by)
        found.add(decision, score[:, 1] if score is not None and len(spec.classes) == 2 else None, probe.answered_by)
        yield


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
