"""Have a target decide the rows part after part, until the decisions will do."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress
from edgefair.targets import AnyProbe, LoadedModel
from edgefair.workflow.measurement.decide_rows import Asking, Decided, decide_rows, decide_rows_with_both


@dataclass(frozen=True, eq=False)
class Decisions:
    """What the candidate and, if there is one, the reference decided: int64 [rows]."""

    candidate: NDArray[np.int64]
    reference: NDArray[np.int64] | None


@dataclass(frozen=True)
class Steps:
    """When to look at the decisions.

    Attributes:
        ends: numbers of rows, the last that of all rows; empty: all of them at once.
        enough: whether the decisions of the model so far will do; not asked about all rows.
    """

    ends: tuple[int, ...] = ()
    enough: Callable[[LoadedModel, Decisions], bool] = lambda _model, _decisions: False

    def parts(self, rows: TableRows) -> Iterator[TableRows]:
        """The rows between one end and the next."""
        if len(self.ends) < 2:
            yield rows
        else:
            for start, stop in itertools.pairwise((0, *self.ends)):
                yield rows.take(np.arange(start, stop))


@dataclass(eq=False)
class Deciding:
    """A model that decides ever more rows on a target.

    Attributes:
        seconds, encoding_s: spent on it and on what was asked at the same time, and of that on encoding.
        notes, rows_by: see `decide_rows.Decided`.
    """

    probe: AnyProbe
    model: LoadedModel
    spec: ModelSpec
    seconds: float = 0.0
    encoding_s: float = 0.0
    notes: tuple[str, ...] = ()
    rows_by: Counter[str] = field(default_factory=Counter)
    _parts: list[NDArray[np.int64]] = field(default_factory=list)
    _scores: list[NDArray[np.float32] | None] = field(default_factory=list)

    @property
    def score(self) -> NDArray[np.float32] | None:
        """P(class 1) of all rows so far, float32 [rows], where the model has two classes and gives it; else None."""
        known = [part for part in self._scores if part is not None]
        return _joined(known) if known and len(known) == len(self._scores) else None

    def go_on(self, rows: TableRows, progress: Progress) -> NDArray[np.int64]:
        """Decide more rows; the decisions of all rows so far, int64 [rows].

        Raises:
            ModelError, MeasurementError: see `decide_rows`.
        """
        started = time.perf_counter()
        decided = decide_rows(self.probe, self.model, rows, self.spec, progress)
        return self.take(decided, time.perf_counter() - started)

    def go_on_with(
        self, other: Deciding, rows: TableRows, progress: Progress
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """As `go_on`, and so the other model at the same time; the time that it takes stands with this one.

        Raises:
            ModelError, MeasurementError: see `decide_rows`.
        """
        started = time.perf_counter()
        one, two = (Asking(item.probe, item.model, item.spec) for item in (self, other))
        mine, others = decide_rows_with_both(one, two, rows, progress)
        return self.take(mine, time.perf_counter() - started), other.take(others, 0.0)

    def at_a_time(self, other: Deciding) -> bool:
        """Whether both can be asked at once: each has a probe, and they are fed alike."""
        return self.probe is not other.probe and self.spec.inputs == other.spec.inputs

    def take(self, decided: Decided, seconds: float) -> NDArray[np.int64]:
        """Add what was decided; the decisions of all rows so far, int64 [rows]."""
        self.seconds += seconds
        self.encoding_s += decided.encoding_s
        self.notes += decided.notes
        self.rows_by.update(decided.rows_by)
        self._parts.append(decided.decisions)
        self._scores.append(decided.score)
        return _joined(self._parts)


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """One array, which is the part itself where there is one alone."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def decide_in_steps(
    candidate: Deciding, reference: Deciding | None, rows: TableRows, steps: Steps, progress: Progress
) -> Decisions:
    """Both models' decisions on the same rows, as many as were enough.

    Raises:
        ModelError, MeasurementError: see `decide_rows`.
        Exception: what `steps.enough` raises.
    """
    for part in steps.parts(rows):
        if reference is not None and candidate.at_a_time(reference):
            decisions = Decisions(*candidate.go_on_with(reference, part, progress))
        else:
            decided = candidate.go_on(part, progress)
            decisions = Decisions(decided, None if reference is None else reference.go_on(part, progress))
        if len(decisions.candidate) < len(rows) and steps.enough(candidate.model, decisions):
            break
    return decisions
