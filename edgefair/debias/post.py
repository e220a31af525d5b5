"""What a treatment after compression is: a change of the exported graph, fitted on its own answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

    from edgefair.probe.onnx_files.spec import ModelSpec

# From a graph and names of its float outputs or inner values: what they are on the validation rows, in the order of the
# names, each [rows, ...].
Answers = Callable[["onnx.ModelProto", Sequence[str]], list[NDArray[np.float32]]]


class Worth(Protocol):
    """How good decisions are (`training.selection.Standing`)."""

    @property
    def rank(self) -> tuple[int, float]:
        """Larger is better."""
        ...

    @property
    def worst_group(self) -> float:
        """Smallest mean recall of any group."""
        ...


class Judges(Protocol):
    """Tells what decisions are worth."""

    def __call__(self, decision: NDArray[np.int64], rows: NDArray[np.int64] | None = None) -> Worth:
        """Decisions int64 of all validation rows, or of the given ones."""
        ...


@dataclass(frozen=True)
class Judge:
    """Validation rows as a method may use them.

    Attributes:
        cells: names of the (group, label) cells.
        cell: index of every row's cell, int64 [rows].
        label: int64 [rows].
        attributes: attribute -> its value in every row, text [rows].
        model_inputs: attributes that the policy declares a legitimate model input.
        worth: how good decisions are.
        chance: what guessing gives the worst group, where the policy sets no floor for it; else None.
        seed: for whatever a method draws.
    """

    cells: tuple[str, ...]
    cell: NDArray[np.int64]
    label: NDArray[np.int64]
    attributes: Mapping[str, NDArray[np.object_]]
    model_inputs: tuple[str, ...]
    worth: Judges
    chance: float | None
    seed: int


class PostMethod(Protocol):
    """A treatment of the compressed file. It sees validation rows, never audit or calibration rows."""

    def apply(
        self, model: onnx.ModelProto, spec: ModelSpec, answers: Answers, judge: Judge
    ) -> tuple[onnx.ModelProto, ModelSpec, dict[str, object]]:
        """The changed graph, its spec, and what was chosen (for the manifest).

        Raises:
            ModelError: a graph that the method cannot be baked into.
            DataError: validation rows that it cannot be fitted on.
        """
        ...
