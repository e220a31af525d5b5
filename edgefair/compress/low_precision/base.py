"""What a low precision is: which layers it computes with fewer bits, how, and what that does to activations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.analysis.out_of_range import Shares
from edgefair.compress.analysis.saturation import Saturation
from edgefair.compress.quantization.calibrate import Batch, Ranges
from edgefair.compress.quantization.prepare import Needs, check_batches, check_quantizable
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision
from edgefair.compress.search.search import Move


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a graph is calibrated on.

    Attributes:
        rows: how many.
        notes: what to warn of.
        batches: these rows as graph inputs.
        few: some of them, as many as the graph takes at once: every node is compared on them.
        learned: ranges that training found, which are used over those of the rows.
        cell: of every row, int64 [rows], 0 <= cell; None where rows have no groups.
        takes: rows that the graph takes at once; None where it takes any number.
        bits: of weights, unless a choice says otherwise: a key of `quantization.weights.LARGEST`.
    """

    recipe: CalibrationRecipe
    rows: int
    notes: tuple[str, ...]
    batches: Iterable[Batch]
    few: Mapping[str, NDArray[Any]]
    learned: Ranges
    cell: NDArray[np.int64] | None = None
    takes: int | None = None
    bits: int = 8


@dataclass(frozen=True, eq=False)
class Look:
    """What activations are looked at in.

    Attributes:
        made: the graph whose weights count.
        calibrated: the one whose ranges count, made from the prepared graph.
        batches: rows as graph inputs, in order.
        cell: index of every row's cell, int64 [rows], 0 <= cell < cells.
        seed: draws the sums that are looked at.
        tell: is told what is under way.
    """

    made: onnx.ModelProto
    calibrated: onnx.ModelProto
    batches: Iterable[dict[str, NDArray[Any]]]
    cell: NDArray[np.int64]
    cells: int
    seed: int
    tell: Callable[[str], None]


@dataclass(frozen=True, eq=False)
class ActivationHarm:
    """By layer: sums beyond 16 bits, and shares of values that are cut off or become infinite."""

    saturation: Mapping[str, Saturation] = field(default_factory=dict)
    clipping: Mapping[str, Shares] = field(default_factory=dict)
    overflow: Mapping[str, Shares] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class LowPrecision(ABC):
    """One kind of low precision for the layers of one prepared graph.

    Attributes:
        needs: what a graph must have for INT8; None for what is not INT8.
        uncalibrated: why rows do not calibrate it, in words; None where they do.
        called: what messages call it.
        short: what tables and charts call it.
        unsaturated: what keeps its sums within 16 bits on processors without VNNI, in words; None where they never
            leave them.
        recipe: what it changes in any `CalibrationRecipe`.
        free: moves of the repair that it knows and that leave its speed as it is.
        nodes: names of the layers that are in low precision unless they are left in float, embeddings among them.
        small: of these, the layers that are no faster so.
        left: layers that have no such form -> why.
        held: layers whose form was found to be wrong, and that stay in float -> what was found.
        settings: what is done, for the manifest, with weights of 8 bits.
        notes: what to warn of.
    """

    needs: ClassVar[Needs | None] = None
    uncalibrated: ClassVar[str | None] = None
    called: ClassVar[str]
    short: ClassVar[str] = "INT8"
    unsaturated: ClassVar[str | None] = None
    recipe: ClassVar[Mapping[str, Any]] = {}
    free: ClassVar[frozenset[Move]] = frozenset()

    nodes: tuple[str, ...]
    settings: dict[str, Any]
    small: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def __init__(self, prepared: onnx.ModelProto, calibration: Callable[[], Calibration]) -> None:
        self.prepared, self.calibration = prepared, calibration
        self.left: Mapping[str, str] = {}
        self.held: Mapping[str, str] = {}

    @classmethod
    def check(cls, model: onnx.ModelProto) -> None:
        """Refuse an FP32 model that has no such form, at no cost.

        Raises:
            ModelError: it has not.
        """
        if cls.needs is not None:
            check_quantizable(model, cls.needs)
        if cls.uncalibrated is None:
            check_batches(model)

    @abstractmethod
    def convert(self, precision: Precision) -> onnx.ModelProto:
        """The graph with its layers in low precision but for those that stay in float.

        Raises:
            ModelError: names that are not the graph's, or nothing left to convert.
        """

    def check_made(self, made: onnx.ModelProto) -> None:  # noqa: B027
        """Refuse a graph of `convert` that differs from the prepared one by more than its bits explain.

        Raises:
            ModelError: it does.
        """

    def alone(self, node: str) -> onnx.ModelProto:
        """The graph with this layer in low precision and all others in float."""
        return self.convert(Precision(float_nodes=frozenset(self.nodes) - {node}))

    @abstractmethod
    def audit(self, look: Look) -> ActivationHarm:
        """What happens to activations.

        Raises:
            ModelError: a graph cannot be run.
        """
