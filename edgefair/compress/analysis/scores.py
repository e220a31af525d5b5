"""What a graph answers on rows, as probabilities and decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgefair.debias.post import Answers
from edgefair.errors import ModelError
from edgefair.probe.onnx_files.reading import read_decisions

if TYPE_CHECKING:
    import onnx

    from edgefair.probe.onnx_files.spec import ModelSpec

LEAST_PROBABILITY = 1e-12

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a graph answers on a sample.

    Attributes:
        probability: P(class), float64 [rows, classes].
        decision: int64 [rows].
        threshold: of P(class 1); None where the largest probability decides.
    """

    probability: Floats
    decision: Ints
    threshold: float | None

    def loss(self, label: Ints) -> Floats:
        """Cross-entropy of every row in nats, float64 [rows]."""
        found: Floats = -np.log(np.maximum(self.probability[np.arange(len(label)), label], LEAST_PROBABILITY))
        return found

    def log_odds(self, label: Ints) -> Floats:
        """log P(label) - log P(any other) of every row, float64 [rows]."""
        of_label = self.probability[np.arange(len(label)), label]
        found: Floats = np.log(np.maximum(of_label, LEAST_PROBABILITY)) - np.log(
            np.maximum(1 - of_label, LEAST_PROBABILITY)
        )
        return found

    def margin(self, choice: int) -> Floats:
        """How far from being decided otherwise than `choice`, in log-odds; below 0 it is: float64 [rows]."""
        log = np.log(np.maximum(self.probability, LEAST_PROBABILITY))
        if self.threshold is not None:
            at = np.clip(self.threshold, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
            positive: Floats = log[:, 1] - log[:, 0] - np.log(at / (1 - at))
            return positive if choice == 1 else -positive
        found: Floats = log[:, choice] - np.delete(log, choice, axis=1).max(axis=1)
        return found


def scores(model: onnx.ModelProto, answers: Answers, spec: ModelSpec) -> Scores:
    """What a graph answers on the rows of `answers`.

    Raises:
        ModelError: a graph that gives labels without probabilities, or not what its spec says.
    """
    reading = spec.reading
    if reading.kind == "label" and reading.score is None:
        raise ModelError(
            "the model gives labels and no probabilities, so a small effect of a layer cannot be seen",
            fix="export it with its probabilities or logits",
        )
    names = [name for name in (reading.output, reading.score) if name is not None]
    try:
        decision, probability = read_decisions(
            dict(zip(names, answers(model, names), strict=True)), reading, len(spec.classes)
        )
    except ValueError as error:
        raise ModelError(str(error), fix="describe how to read the output under model.output in the config") from error
    if probability is None:
        raise ModelError("the model gives no probabilities")
    return Scores(probability.astype(np.float64), decision, reading.threshold)
