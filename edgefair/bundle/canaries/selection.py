"""Which synthetic rows show a fault, by running the file on this machine with and without it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.bundle.canaries.faults import FAULTS, faulty
from edgefair.bundle.canaries.rows import synthetic_rows
from edgefair.probe.bundles.canaries import TOLERANCE, Answers
from edgefair.probe.errors import ProbeError
from edgefair.probe.formats import format_of
from edgefair.probe.inputs.prepare import prepare
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec, Reading
from edgefair.probe.runtimes import runtime_for, runtime_named
from edgefair.probe.runtimes.models import Loaded, open_model

# How many rows travel, and how many of them are chosen for one fault.
MOST, OF_FAULT = 24, 4
# Seconds that the choice may take of a large file, and how often it runs every row: as it is, plainly, with each fault.
SECONDS, ASKED = 20.0, 2 + len(FAULTS)
# How far a row's decision is from another one, and how far a fault must move it: twice what a device may differ by.
CLEAR = 2 * TOLERANCE
SESSION = {"providers": ["CPUExecutionProvider"], "config": {}, "threads": 1}
# The level of optimization without any.
PLAIN = "disable"
# Decided otherwise, or not at all.
SURELY = 2.0

Arrays = dict[str, NDArray[Any]]
NO_ROWS = "the bundle has no canary rows: {}"
UNSHOWN = "no canary row shows these faults of a device, which change no answer of this model clearly: {}"


@dataclass(frozen=True, eq=False)
class Chosen:
    """Rows to ask the targets.

    Attributes:
        inputs: input -> [rows, ...], as `prepare` takes them; none where there can be no canary rows.
        notes: what a reader of the bundle must know of them.
    """

    inputs: Arrays
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values()))) if self.inputs else 0


def choose(content: bytes, spec: ModelSpec) -> Chosen:
    """Rows that are decided clearly and alike however the graph is optimized, some for each fault that they show.

    Args:
        content: of the model file.
    """
    try:
        usual, plain = _opened(content)
    except ProbeError as error:
        return Chosen({}, (NO_ROWS.format(f"this machine cannot run the model ({error})"),))
    shapes = {item.name: _sizes(item.shape) for item in usual.session.get_inputs()}
    rows = synthetic_rows(spec, shapes)
    if rows is None:
        return Chosen({}, (NO_ROWS.format("the graph does not say the shape of its inputs"),))
    try:
        rows = _affordable(usual, rows, spec)
        ready = prepare(rows, spec.inputs)
        right = _answers(usual, ready, spec)
    except ProbeError as error:  # such as indices beyond a table, of which the spec does not know the size
        return Chosen({}, (NO_ROWS.format(f"the model refuses synthetic rows ({error})"),))
    usable = _clear(right, spec.reading) & (_distance(right, _answers(plain, ready, spec)) <= TOLERANCE / 2)
    shown = {name: _shown_by(name, usual, rows, right, spec) for name in FAULTS}
    kept = _selected(usable, right.decision, {name: found for name, found in shown.items() if found is not None})
    if not len(kept):
        return Chosen({}, (NO_ROWS.format("the model decides no synthetic row clearly"),))
    hidden = [name for name, found in shown.items() if found is not None and found[kept].max() <= CLEAR]
    return Chosen(
        {name: array[kept] for name, array in rows.items()}, (UNSHOWN.format(", ".join(hidden)),) if hidden else ()
    )


def _affordable(loaded: Loaded, rows: Arrays, spec: ModelSpec) -> Arrays:
    """As many of the rows as can be asked in SECONDS, of every kind, by the time that one takes; MOST at least."""
    ready = prepare({name: array[:1] for name, array in rows.items()}, spec.inputs)
    _answers(loaded, ready, spec)
    started = time.perf_counter()
    _answers(loaded, ready, spec)
    affordable = int(SECONDS / (ASKED * max(time.perf_counter() - started, 1e-9)))
    drawn = len(next(iter(rows.values())))
    if affordable >= drawn:
        return rows
    kept = np.linspace(0, drawn - 1, max(affordable, MOST)).round().astype(np.int64)
    return {name: array[kept] for name, array in rows.items()}


def _opened(content: bytes) -> tuple[Loaded, Loaded]:
    """The model as it is run usually, and as plainly as its runtime can.

    Raises:
        ProbeError: the runtime of its format is not installed here, or cannot run it.
    """
    runtime = runtime_for(format_of(content))
    session = {**SESSION, "runtime": runtime}
    usual = open_model(content, {**session, "optimization": "all"})
    plain = open_model(content, {**session, "optimization": PLAIN}) if PLAIN in runtime_named(runtime).levels else usual
    return usual, plain


def clear_rows(answers: Answers, reading: Reading) -> NDArray[np.bool_]:
    """Rows that no device of the same class decides otherwise: further than TOLERANCE from another class, bool [rows].

    Without probabilities all that were decided.
    """
    return _further(answers, reading, TOLERANCE)


def one_by_one(outputs: Mapping[str, NDArray[Any]], spec: ModelSpec) -> Answers:
    """Decisions and probabilities of outputs, row by row: -1 and NaN where a row's cannot be read."""
    rows = len(next(iter(outputs.values())))
    decision = np.full(rows, -1, dtype=np.int64)
    score = np.full((rows, len(spec.classes)), np.nan, dtype=np.float32)
    given = True
    for row in range(rows):
        own = {name: array[row : row + 1] for name, array in outputs.items()}
        try:
            found, scores = read_decisions(own, spec.reading, len(spec.classes))
        except ValueError:
            continue
        decision[row] = found[0]
        given = scores is not None
        if scores is not None:
            score[row] = scores[0]
    return Answers(decision, score if given else None)


def _answers(loaded: Loaded, ready: Mapping[str, NDArray[Any]], spec: ModelSpec) -> Answers:
    names = [name for name in (spec.reading.output, spec.reading.score) if name is not None]
    return one_by_one(loaded.run(ready, names, one_by_one=True), spec)


def _shown_by(name: str, loaded: Loaded, rows: Arrays, right: Answers, spec: ModelSpec) -> NDArray[np.float64] | None:
    """How far a fault moves every row's answer, float64 [rows]; None where it changes no input."""
    wrong = faulty(name, rows, spec)
    if wrong is None:
        return None
    try:
        return _distance(right, _answers(loaded, wrong, spec))
    except ProbeError:  # the graph refuses such rows: every one shows it
        return np.full(len(right.decision), SURELY)


def _distance(one: Answers, other: Answers) -> NDArray[np.float64]:
    """The most that a probability differs by; without probabilities, or where one cannot be read, by the decision."""
    apart = np.where(one.decision != other.decision, SURELY, 0.0)
    if one.score is None or other.score is None:
        return apart
    moved = np.abs(one.score.astype(np.float64) - other.score).max(axis=1)
    return np.where(np.isnan(moved), apart, moved)


def _clear(answers: Answers, reading: Reading) -> NDArray[np.bool_]:
    return _further(answers, reading, CLEAR)


def _further(answers: Answers, reading: Reading, than: float) -> NDArray[np.bool_]:
    decided = answers.decision >= 0
    if answers.score is None:
        return decided
    score = np.nan_to_num(answers.score.astype(np.float64), nan=0.5)
    if reading.threshold is not None:
        return decided & (np.abs(score[:, 1] - reading.threshold) > than)
    best = np.sort(score, axis=1)
    return decided & (best[:, -1] - best[:, -2] > 2 * than)


def _selected(
    usable: NDArray[np.bool_], decision: NDArray[np.int64], shown: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.int64]:
    """Positions of the rows that travel: those that show each fault best, then others of every class, MOST in all."""
    taken: dict[int, None] = {}
    for found in shown.values():
        order = np.argsort(-np.where(usable, found, -1.0), kind="stable")[:OF_FAULT]
        taken |= dict.fromkeys(order[usable[order] & (found[order] > CLEAR)].tolist())
    rest = [row for row in np.flatnonzero(usable).tolist() if row not in taken]
    rank = {row: sum(decision[row] == decision[other] for other in rest[:at]) for at, row in enumerate(rest)}
    taken |= dict.fromkeys(sorted(rest, key=lambda row: rank[row])[: max(0, MOST - len(taken))])
    return np.array(sorted(taken), dtype=np.int64)


def _sizes(shape: list[Any]) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in shape]
