"""From a model's outputs to decisions, and nothing guessed."""

from __future__ import annotations

import math
import re
from typing import Mapping, Optional, Tuple

import numpy as np

from edgefair.probe.features import plain_text
from edgefair.probe.onnx_files.spec import Reading

KINDS = ("label", "logits", "probabilities", "logit", "probability")
# Between two probabilities that an output of eight bits can hold, and a little more; logits are coarser.
COARSEST = 1 / 128
# Unit roundoff of half precision, the coarsest in which a runtime computes a softmax unasked (NPUs, GPUs).
FP16_ROUNDOFF = 2.0**-11
_BOOLEANS = {"False": 0, "True": 1}
# What int64 surely holds.
_WHOLE = re.compile("-?[0-9]{1,18}")


def read_decisions(
    outputs: Mapping[str, np.ndarray], reading: Reading, classes: int, step: float = 0.0
) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Decisions int64 [rows] (index into the classes) and P(class) float32 [rows, classes] where the model gives it.

    step: the distance between two numbers that a quantized output can hold; 0 where none is quantized. Probabilities
    may then be off by one each: the largest INT8 of a scale of 1/256 is 255/256.

    Raises:
        ValueError: the output is not of the kind that the reading says.
    """
    output = np.asarray(outputs[reading.output])
    if reading.kind == "label":
        decision = _labels(output, reading, classes)
        if reading.score is None:
            return decision, None
        score = np.asarray(outputs[reading.score])
        return decision, _probabilities(score, reading.score, "probabilities", classes, step)
    if reading.kind not in KINDS:
        raise ValueError(f"unknown reading '{reading.kind}'; known: {', '.join(KINDS)}")
    if reading.threshold is not None and classes != 2:
        raise ValueError(f"a threshold decides between two classes, and there are {classes}")
    score = _probabilities(output, reading.output, reading.kind, classes, step)
    if reading.threshold is not None:
        return (score[:, 1] >= reading.threshold).astype(np.int64), score
    return score.argmax(axis=1).astype(np.int64), score


def whole_number(text: str) -> Optional[int]:
    """The whole number that a class's text is, as a label output holds it: True is 1; None where it is none."""
    plain = plain_text(text)
    return _BOOLEANS[plain] if plain in _BOOLEANS else int(plain) if _WHOLE.fullmatch(plain) else None


def _labels(output: np.ndarray, reading: Reading, classes: int) -> np.ndarray:
    name = reading.output
    if output.ndim == 2 and output.shape[1] == 1:
        output = output[:, 0]
    if output.ndim != 1 or output.dtype.kind not in "iub":
        raise ValueError(f"output '{name}' is {output.dtype} {output.shape}, not one whole-number label per row")
    decision = output.astype(np.int64)
    if reading.values is not None:
        held = np.array([whole_number(value) for value in reading.values], dtype=np.int64)
        matches = decision[:, None] == held[None, :]
        strange = decision[~matches.any(axis=1)]
        if len(strange):
            raise ValueError(f"output '{name}' holds the label {strange[0]}, not one of {', '.join(reading.values)}")
        position: np.ndarray = matches.argmax(axis=1).astype(np.int64)
        return position
    if len(decision) and (decision.min() < 0 or decision.max() >= classes):
        raise ValueError(f"output '{name}' holds labels {decision.min()} to {decision.max()}, not 0 to {classes - 1}")
    return decision


def _probabilities(output: np.ndarray, name: str, kind: str, classes: int, step: float) -> np.ndarray:
    if output.dtype.kind != "f":
        raise ValueError(f"output '{name}' is {output.dtype}, not {kind}")
    if not np.isfinite(output).all():
        raise ValueError(f"output '{name}' is NaN or infinite: no decision")
    if kind in ("logit", "probability"):
        column = output[:, 0] if output.ndim == 2 and output.shape[1] == 1 else output
        if classes != 2 or column.ndim != 1:
            raise ValueError(f"output '{name}' is {output.shape} for {classes} classes, not one {kind} per row")
        positive = column.astype(np.float64) if kind == "probability" else _sigmoid(column.astype(np.float64))
        score = np.stack([1.0 - positive, positive], axis=1)
    else:
        if output.ndim != 2 or output.shape[1] != classes:
            raise ValueError(
                f"output '{name}' is {output.shape}, not {kind} in {classes} columns"
                + ("; use kind logit or probability for one column" if output.shape[-1] == 1 else "")
            )
        score = output.astype(np.float64)
        if kind == "logits":
            score = np.exp(score - score.max(axis=1, keepdims=True))
            score /= score.sum(axis=1, keepdims=True)
    step = step if step <= COARSEST else 0.0
    tolerance = max(sum_tolerance(classes), classes * step)
    if len(score) and (score.min() < -tolerance or score.max() > 1 + tolerance):
        raise ValueError(f"output '{name}' holds {score.min():g} to {score.max():g}: not probabilities, perhaps logits")
    if len(score) and np.abs(np.einsum("ij->i", score) - 1).max() > tolerance:
        raise ValueError(f"output '{name}' has rows that do not sum to 1: not probabilities")
    return np.clip(score, 0.0, 1.0).astype(np.float32)


def sum_tolerance(classes: int) -> float:
    """How far from 1 a softmax over so many classes may sum that was computed in half precision.

    The sum of the exponentials, added in a tree, is off by log2(classes) roundings (Higham, Accuracy and Stability of
    Numerical Algorithms, 4.2), its reciprocal, the product with it and what is handed on by one each: (ceil(log2 c) +
    3) u. Errors of the exponentials themselves cancel. 0.0020 for two classes, 0.0063 for a thousand.
    """
    return (math.ceil(math.log2(max(classes, 2))) + 3) * FP16_ROUNDOFF


def _sigmoid(x: np.ndarray) -> np.ndarray:
    value: np.ndarray = np.exp(-np.logaddexp(0.0, -x))
    return value
