"""Whether what a device answered can be what the model says of these rows, and who is to blame where it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import slices
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.errors import EdgefairError, MeasurementError, ModelError
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.targets import AnyProbe, LoadedModel, load_profile, open_target
from edgefair.workflow.measurement.devices.alike import rows_at_once

Answered = tuple[NDArray[np.int64], NDArray[np.float32]]
HERE = "local"
# Rows of every (group, label) cell that are asked again, and of all cells at most. With 100 rows, a change of one
# decision in twenty is missed once in 170 times.
ROWS_OF_CELL = 100
ROWS_AT_MOST = 4000
LEAST_OF_CELL = 8
# Of a probability, between two answers to the same row: kernels may round otherwise in batches of another size.
TOLERANCE = 0.05
# Share of the rows that may move by more: where a code of INT8 lies on an edge, rounding moves it by a whole step.
ALLOWED = 0.005


class SecondAsking:
    """Asks rows of every (group, label) cell again, in an order of their own and each in a batch of its own.

    A device is asked for one row at a time when it is used, and for thousands when it is measured. A model that looks
    at its batch decides otherwise then; a device that returns old answers, mixes up the rows, or repeats one answer
    contradicts itself; one whose model is constant does not.

    Args:
        rows: all rows that are asked.
        batch_rows: how many of them at a time.

    Attributes:
        picked: positions of the rows that are asked again, int64 [picked].
    """

    def __init__(self, probe: AnyProbe, model: LoadedModel, rows: TableRows, spec: ModelSpec, batch_rows: int) -> None:
        self._probe = probe
        self._model = model
        self._spec = spec
        # By the file's digest: nobody can make a model for the rows that it will be asked again.
        self.picked = _of_every_cell(rows, np.random.default_rng(int(model.sha256[:16], 16)))
        self._rows = rows.take(self.picked)
        self._in_batches = rows.take(np.resize(self.picked, max(len(self.picked), min(batch_rows, len(rows)))))
        self._batch_rows = batch_rows
        self._by = np.full(len(self.picked), "", dtype=object)
        self._first = np.full(len(self.picked), -1, dtype=np.int64)
        self._score = np.full((len(self.picked), len(spec.classes)), np.nan, dtype=np.float32)

    def note(self, start: int, decision: NDArray[np.int64], score: NDArray[np.float32] | None, by: str) -> None:
        """Keep what was answered first, and who did: decisions [n], and P(class) [n, classes] if any, of rows from
        `start` on."""
        inside = (self.picked >= start) & (self.picked < start + len(decision))
        self._by[inside] = by
        self._first[inside] = decision[self.picked[inside] - start]
        if score is not None:
            self._score[inside] = score[self.picked[inside] - start]

    def changed(self) -> int:
        """Ask again: how many rows are decided otherwise alone than among others, by a hair's breadth each.

        Raises:
            MeasurementError: the device contradicts itself.
            ModelError: the model does, on this machine too: its rows decide about each other.
        """
        alone = self._answers(self._probe, self._model)
        moves = self._moves((self._first, self._score), alone)
        # Of a pool each device by itself: a wrong one may have decided few.
        name = max(np.unique(self._by).tolist(), key=lambda name: _excess(moves[self._by == name]))
        moved, asked = moves[self._by == name], int(np.count_nonzero(self._by == name))
        if np.count_nonzero(moved) <= _allowed(asked):
            return int(np.count_nonzero(self._first != alone[0]))
        if self._depends_on_its_batch():
            raise ModelError(
                f"'{self._model.path}' gives a different answer for a row when other rows are in its batch",
                expected="a model that decides every row independently: a device sends one row at a time",
                fix="export it for inference (no batch statistics, no dynamic scales over the batch)",
            )
        raise MeasurementError(
            f"target '{name}': asked again for {asked} rows of '{self._model.path}' in another order and one by one, "
            f"the device answered {np.count_nonzero(moved)} of them differently",
            expected="the same answer to the same row",
            fix="it mixes up or repeats answers: check its runtime, its memory and its power supply",
        )

    def confirm(self, decisions: NDArray[np.int64]) -> None:
        """Compare decisions of all rows, each made alone, int64 [rows], with one more asking.

        Raises:
            MeasurementError: the device decides the same row, asked the same way, otherwise.
        """
        again, _ = self._answers(self._probe, self._model)
        differ = int(np.count_nonzero(decisions[self.picked] != again))
        if differ:
            raise MeasurementError(
                f"target '{self._probe.profile.name}': asked twice for {len(again)} rows of '{self._model.path}', one "
                f"by one, the device decided {differ} of them differently",
                expected="the same decision for the same row",
                fix="its answers are not reproducible: check its runtime, its memory and its power supply",
            )

    def _depends_on_its_batch(self) -> bool:
        """Whether this machine's own runtime answers rows otherwise alone than in batches of the usual size."""
        try:
            with open_target(load_profile(HERE)) as host:
                here = host.load(self._model.path, name="here", beside=True)
                decision, score = self._read(host, here, self._in_batches, one_by_one=False)
                together = decision[: len(self.picked)], score[: len(self.picked)]
                moves = self._moves(together, self._answers(host, here))
                return int(np.count_nonzero(moves)) > _allowed(len(moves))
        except EdgefairError:
            return False

    def _answers(self, probe: AnyProbe, model: LoadedModel) -> Answered:
        """What the picked rows are answered, each alone."""
        return self._read(probe, model, self._rows, one_by_one=True)

    def _read(self, probe: AnyProbe, model: LoadedModel, rows: TableRows, *, one_by_one: bool) -> Answered:
        """Decisions int64 [rows] and P(class) float32 [rows, classes], NaN where the model gives none."""
        spec, decisions, scores = self._spec, [], []
        # What is run one by one anyway may be shared by many devices.
        batches = rows.inputs(spec, rows_at_once(probe, len(rows), self._batch_rows))
        for batch in probe.run(model, batches, outputs_of(spec), inputs=spec.inputs, one_by_one=one_by_one):
            try:
                decision, score = read_decisions(batch, spec.reading, len(spec.classes), model.step)
            except ValueError as error:
                raise MeasurementError(
                    f"target '{probe.profile.name}': {error}; the same rows were answered correctly before"
                ) from error
            decisions.append(decision)
            scores.append(np.full((len(decision), len(spec.classes)), np.nan) if score is None else score)
        return np.concatenate(decisions), np.concatenate(scores)

    def _moves(self, one: Answered, other: Answered) -> NDArray[np.bool_]:
        """Which rows were answered otherwise: by their scores; by their decisions where there are no scores."""
        if np.isnan(one[1]).any():
            return np.asarray(one[0] != other[0])
        return np.asarray(np.abs(one[1] - other[1]).max(axis=1) > TOLERANCE)


def _allowed(rows: int) -> int:
    return max(1, round(ALLOWED * rows))


def _excess(moves: NDArray[np.bool_]) -> float:
    """How many times as many rows moved as may."""
    return float(np.count_nonzero(moves)) / _allowed(len(moves))


def _of_every_cell(rows: TableRows, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of rows of every (group, label) cell, in an order that is not theirs: int64 [picked]."""
    group, groups = _groups(rows)
    # A label design leaves rows without a label, which is -1.
    labels = 2 + max(int(rows.label[part].max()) for part in slices(len(rows), rows.label))

    def cells() -> Iterator[NDArray[np.int64]]:
        return (group[part] * labels + rows.label[part] + 1 for part in slices(len(rows), group, rows.label))

    size = sum(np.bincount(cell, minlength=groups * labels) for cell in cells())
    most = min(ROWS_OF_CELL, max(LEAST_OF_CELL, ROWS_AT_MOST // int(np.count_nonzero(size))))
    # Of every cell the rows that drew the smallest numbers, of those so far; the largest of these limits what comes.
    row, of, number = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    limit, start = np.ones(groups * labels), 0
    for cell in cells():
        drawn = rng.random(len(cell))
        near = np.flatnonzero(drawn < limit[cell])
        row, of, number = np.append(row, start + near), np.append(of, cell[near]), np.append(number, drawn[near])
        kept = _least_of_each(of, number, most)
        row, of, number = row[kept], of[kept], number[kept]
        full = np.bincount(of, minlength=len(limit)) == most
        limit[full] = 0
        np.maximum.at(limit, of[full[of]], number[full[of]])
        start += len(cell)
    return rng.permutation(row)


def _groups(rows: TableRows) -> tuple[NDArray[np.int64], int]:
    """Index of every row's joint group of all sensitive columns, int64 [rows], and how many groups there are."""
    if not rows.sensitive:
        return np.broadcast_to(np.int64(0), len(rows)), 1
    group, groups = joint_groups(rows.sensitive, [*rows.sensitive])
    return group, len(groups)


def _least_of_each(cell: NDArray[np.int64], number: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Positions of the `most` smallest numbers of every cell."""
    order = np.lexsort((number, cell))
    rank = np.arange(len(order)) - np.searchsorted(cell[order], cell[order])
    return order[rank < most]


def outputs_of(spec: ModelSpec) -> list[str]:
    """Names of the outputs that decisions and scores are read from."""
    return [name for name in (spec.reading.output, spec.reading.score) if name is not None]


def unreadable(
    probe: AnyProbe, model: LoadedModel, spec: ModelSpec, batch: Mapping[str, NDArray[Any]], error: ValueError
) -> EdgefairError:
    """The error for outputs that cannot be read: the device is to blame if this machine's own run of the batch can.

    Args:
        batch: inputs of the rows, as they were sent.
        error: why they cannot be read.
    """
    wrong = ModelError(
        f"'{model.path}': {error}", fix="describe how to read the output under model.output in the config"
    )
    try:
        with open_target(load_profile(HERE)) as host:
            here = host.load(model.path, name="here", beside=True)
            (found,) = host.run(here, iter([dict(batch)]), outputs_of(spec), inputs=spec.inputs)
        read_decisions(found, spec.reading, len(spec.classes), here.step)
    except (EdgefairError, ValueError):
        return wrong
    return MeasurementError(
        f"target '{probe.profile.name}': {error}",
        expected="readable outputs, as onnxruntime on this machine gives for the same rows of the same file",
        fix="the device's outputs are damaged: check its runtime, its memory and its power supply",
    )
