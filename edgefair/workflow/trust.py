"""Whether what a device answered can be what the model says of these rows, and who is to blame where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.errors import EdgefairError, MeasurementError, ModelError
from edgefair.probe.reading import read_decisions
from edgefair.probe.spec import ModelSpec
from edgefair.targets import LoadedModel, Probe, load_profile, open_target

HERE = "local"
# Pairs of rows that are asked again. In pairs, so that a device that answers every row of a batch with the first one's
# answer is found even where decisions are all there is to compare.
PAIRS = 24
# Of a probability, between two answers to the same row: kernels may round otherwise in batches of another size.
TOLERANCE = 0.05
# One row that is answered otherwise can lie on the edge of a decision.
ALLOWED = 1


class SecondAsking:
    """Asks a sample of rows again, in an order and in batches of their own.

    A device that returns old answers, mixes up the rows, or repeats one answer contradicts itself; one whose model is
    constant does not.

    Args:
        rows: all rows that are asked.
    """

    def __init__(self, probe: Probe, model: LoadedModel, rows: TableRows, spec: ModelSpec) -> None:
        self._probe = probe
        self._model = model
        self._spec = spec
        self._picked = np.random.default_rng(0).permutation(len(rows))[: 2 * PAIRS]
        self._rows = rows.take(self._picked)
        self._first = np.full(len(self._picked), -1, dtype=np.int64)
        self._score = np.full((len(self._picked), len(spec.classes)), np.nan, dtype=np.float32)

    def note(self, start: int, decision: NDArray[np.int64], score: NDArray[np.float32] | None) -> None:
        """Keep what was answered first: decisions [n], and P(class) [n, classes] if any, of rows from `start` on."""
        inside = (self._picked >= start) & (self._picked < start + len(decision))
        self._first[inside] = decision[self._picked[inside] - start]
        if score is not None:
            self._score[inside] = score[self._picked[inside] - start]

    def compare(self) -> None:
        """Ask again.

        Raises:
            MeasurementError: the device contradicts itself.
            ModelError: the model does, on this machine too: its rows decide about each other.
        """
        changed = int(self._changed(self._answers(self._probe, self._model)).sum())
        if changed <= ALLOWED:
            return
        name, n = self._probe.profile.name, len(self._picked)
        try:
            with open_target(load_profile(HERE)) as host:
                here = host.load(self._model.path, name="here")
                whole = self._answers(host, here, rows_at_once=n)
                self._first, self._score = whole
                depends = int(self._changed(self._answers(host, here)).sum()) > ALLOWED
        except EdgefairError:
            depends = False
        if depends:
            raise ModelError(
                f"'{self._model.path}' answers a row otherwise when other rows are in its batch",
                expected="a model that decides every row by itself",
                fix="export it for inference (no batch statistics, no dynamic scales over the batch)",
            )
        raise MeasurementError(
            f"target '{name}': asked again for {n} rows of '{self._model.path}' in another order, the device answered "
            f"{changed} of them differently",
            expected="the same answer to the same row",
            fix="it mixes up or repeats answers: check its runtime, its memory and its power supply",
        )

    def _answers(
        self, probe: Probe, model: LoadedModel, rows_at_once: int = 2
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        outputs = outputs_of(self._spec)
        decisions, scores = [], []
        for batch in probe.run(model, self._rows.inputs(self._spec, rows_at_once), outputs, inputs=self._spec.inputs):
            try:
                decision, score = read_decisions(batch, self._spec.reading, len(self._spec.classes))
            except ValueError as error:
                raise MeasurementError(
                    f"target '{probe.profile.name}': {error}; asked for the same rows before, it answered well"
                ) from error
            decisions.append(decision)
            scores.append(np.full((len(decision), len(self._spec.classes)), np.nan) if score is None else score)
        return np.concatenate(decisions), np.concatenate(scores)

    def _changed(self, again: tuple[NDArray[np.int64], NDArray[np.float32]]) -> NDArray[np.bool_]:
        """Which rows were answered otherwise: by their scores; by their decisions where there are no scores."""
        decision, score = again
        if np.isnan(self._score).any():
            return np.asarray(self._first != decision)
        moved: NDArray[np.bool_] = np.abs(self._score - score).max(axis=1) > TOLERANCE
        return moved


def outputs_of(spec: ModelSpec) -> list[str]:
    """Names of the outputs that decisions and scores are read from."""
    return [name for name in (spec.reading.output, spec.reading.score) if name is not None]


def unreadable(
    probe: Probe, model: LoadedModel, spec: ModelSpec, batch: Mapping[str, NDArray[Any]], error: ValueError
) -> EdgefairError:
    """The error for outputs that cannot be read: the device is to blame if this machine's own run of the batch can.

    Args:
        batch: inputs of the rows, as they were sent.
        error: why they cannot be read.
    """
    wrong = ModelError(f"'{model.path}': {error}", fix="say how to read the output under model.output in the config")
    try:
        with open_target(load_profile(HERE)) as host:
            here = host.load(model.path, name="here")
            (found,) = host.run(here, iter([dict(batch)]), outputs_of(spec), inputs=spec.inputs)
        read_decisions(found, spec.reading, len(spec.classes))
    except (EdgefairError, ValueError):
        return wrong
    return MeasurementError(
        f"target '{probe.profile.name}': {error}",
        expected="what onnxruntime on this machine answers to the same rows of the same file, which can be read",
        fix="the device's outputs are damaged: check its runtime, its memory and its power supply",
    )
