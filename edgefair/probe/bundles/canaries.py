"""Canary rows: synthetic inputs that travel with a bundle, and what the judged devices answered to them.

A device that prepares its inputs otherwise, whose runtime computes an operator otherwise, or whose memory is broken
answers them otherwise, and does not serve the model. They hold no person's data.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgefair.probe.bundles.settings import Judged
from edgefair.probe.inputs.prepare import prepare
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.probe.runtimes.models import Loaded

CANARIES = "canaries.npz"
SCHEMA = "edgefair.canaries/1"
# Of a probability, between two answers of one device class: as between two askings of one device
# (`workflow.measurement.consistency`), where versions of a runtime fuse layers otherwise.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Answers:
    """decision: index into the classes, int64 [rows]. score: P(class) float32 [rows, classes], where the model gives
    it."""

    decision: np.ndarray
    score: Optional[np.ndarray]

    def rows(self, kept: np.ndarray) -> "Answers":
        """Those of some rows."""
        return Answers(self.decision[kept], None if self.score is None else self.score[kept])


@dataclass(frozen=True)
class Canaries:
    """inputs: input of the graph -> rows as `prepare` takes them. answers: of every judged target, in the order of the
    report."""

    inputs: Mapping[str, np.ndarray]
    answers: Sequence[Answers]

    def to_bytes(self) -> bytes:
        """As an .npz file, not compressed: it cannot grow beyond its own size when it is read."""
        arrays: Dict[str, Any] = {"schema": np.array(SCHEMA), "targets": np.array(len(self.answers))}
        arrays.update({f"input/{name}": array for name, array in self.inputs.items()})
        for index, found in enumerate(self.answers):
            arrays[f"{index}/decision"] = found.decision
            if found.score is not None:
                arrays[f"{index}/score"] = found.score
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()


def read_canaries(content: bytes, spec: ModelSpec, targets: int) -> Canaries:
    """Read what `Canaries.to_bytes` wrote.

    targets: on which the model was judged.

    Raises:
        ValueError: it is something else, or does not fit the model.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
                raise ValueError("it is compressed")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if str(arrays["schema"]) != SCHEMA or int(arrays["targets"]) != targets:
                raise ValueError(f"its schema is not {SCHEMA}, or it is not of {targets} targets")
            inputs = {item.name: arrays[f"input/{item.name}"] for item in spec.inputs}
            answers = [Answers(arrays[f"{index}/decision"], arrays.get(f"{index}/score")) for index in range(targets)]
    except Exception as error:
        # Sizes, names and types are the file's own, and numpy raises a dozen kinds of errors about them.
        raise ValueError(f"'{CANARIES}' cannot be read: {error}") from error
    for found in answers:
        _check_answers(found, {name: len(array) if array.ndim else 0 for name, array in inputs.items()}, spec)
    return Canaries(inputs, answers)


def _check_answers(found: Answers, lengths: Mapping[str, int], spec: ModelSpec) -> None:
    rows, classes = len(found.decision) if found.decision.ndim == 1 else 0, len(spec.classes)
    if not rows or set(lengths.values()) != {rows} or found.decision.dtype != np.int64:
        raise ValueError(f"'{CANARIES}' does not hold a decision for each of its rows")
    if found.decision.min() < 0 or found.decision.max() >= classes:
        raise ValueError(f"'{CANARIES}' holds decisions beyond {classes} classes")
    if found.score is not None and (found.score.dtype != np.float32 or found.score.shape != (rows, classes)):
        raise ValueError(f"'{CANARIES}' holds scores that are not those of its rows")


def answered(loaded: Loaded, inputs: Mapping[str, np.ndarray], spec: ModelSpec) -> Answers:
    """What a session answers to rows, each alone.

    inputs: as `prepare` takes them.

    Raises:
        ProbeError: the runtime fails.
        ValueError: its outputs are no decisions, as NaN is none.
    """
    outputs = [name for name in (spec.reading.output, spec.reading.score) if name is not None]
    found = loaded.run(prepare(inputs, spec.inputs), outputs, one_by_one=True)
    return Answers(*read_decisions(found, spec.reading, len(spec.classes)))


def otherwise(found: Answers, judged: Answers) -> Tuple[int, float]:
    """How many rows are answered otherwise than they were judged, and the most that a probability moved.

    Decisions are equal, and no probability moves by more than TOLERANCE.
    """
    differs = found.decision != judged.decision
    if found.score is None or judged.score is None:
        return int(np.count_nonzero(differs)), 0.0
    moved = np.abs(found.score - judged.score).max(axis=1)
    return int(np.count_nonzero(differs | (moved > TOLERANCE))), float(moved.max())


def check_canaries(content: bytes, spec: ModelSpec, loaded: Loaded, judged: Judged, targets: int) -> None:
    """Ask this device, and compare with what the judged device answered whose settings it has taken.

    targets: on how many the model was judged.

    Raises:
        ProbeError: the runtime fails.
        ValueError: not canaries of this model, or this device answers otherwise.
    """
    known = read_canaries(content, spec, targets)
    expected = known.answers[judged.target]
    try:
        found = answered(loaded, known.inputs, spec)
    except ValueError as error:
        raise ValueError(f"this device answers the canary rows otherwise than the judged one did: {error}") from error
    wrong, moved = otherwise(found, expected)
    if wrong:
        raise ValueError(f"{refusal(wrong, len(expected.decision))} (a probability moved by {moved:.3f})")


def refusal(wrong: int, rows: int) -> str:
    """What to say of a device."""
    return (
        f"this device answers {wrong} of {rows} canary rows otherwise than the judged one did: its runtime, driver, "
        "memory or preparation of inputs is another"
    )
