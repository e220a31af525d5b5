"""The compressed graph of a choice. What several choices have in common is made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.low_precision import Calibration, LowPrecision
from edgefair.compress.quantization.agreement import check_prepared
from edgefair.compress.quantization.bias_correction import correct_bias
from edgefair.compress.quantization.calibrate import Ranges
from edgefair.compress.quantization.prepare import embedding_nodes, quantizable_nodes
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision
from edgefair.compress.search.choice import Choice
from edgefair.errors import ModelError
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import timed
from edgefair.streams import Stream
from edgefair.targets import load_profile
from edgefair.workflow.compression.calibration import CalibrationRows
from edgefair.workflow.compression.fp32 import Sources
from edgefair.workflow.compression.precision import Numerics
from edgefair.workflow.compression.recipes import recipe_of
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.outputs import TargetAnswers
from edgefair.workflow.measurement.sampling import cells_of, draw

# Training rows of every cell that correct a bias, at most.
BIAS_ROWS = 64
# Calibration rows on which every node of an INT8 graph is compared with the FP32 graph's.
COMPARED_ROWS = 4
# Layers that a note names at most.
NAMED = 5


@dataclass(frozen=True, eq=False)
class Graphs:
    """Brings graphs into low precision as choices say, before treatments.

    Attributes:
        spec: how the model is fed and read.
        sources: the graphs in float.
    """

    job: Job
    spec: ModelSpec
    numerics: Numerics
    sources: Sources
    calibration: CalibrationRows
    _made: dict[tuple[float | None, CalibrationRecipe], LowPrecision] = field(default_factory=dict)

    def make(self, choice: Choice, *, compared: bool) -> tuple[onnx.ModelProto, dict[str, Any]]:
        """The graph, and what was done, for the manifest.

        Args:
            compared: whether the graph is compared with the FP32 graph, node by node, where that can be done.

        Raises:
            DataError, ModelError: rows or a graph that cannot be calibrated or quantized; a graph that differs by more
                than its bits explain.
            MeasurementError: a bias is corrected, and the first target gave no answers that can be believed.
        """
        if self.numerics.kind is None:
            return onnx.load_model(self.sources.source(choice.prune).path), {}
        low, floats = self._of(choice), frozenset(choice.float_nodes)
        if floats and floats >= set(low.nodes) - low.small:
            float_graph = onnx.load_model(self.sources.source(choice.prune).path)
            return float_graph, {"float_nodes": sorted(floats | _layers_in_float(low.prepared, low.prepared))}
        in_float = floats | low.small
        precision = Precision(
            float_nodes=in_float,
            reduced_nodes=None if self.numerics.reduce_range else frozenset(choice.seven_bit) - in_float,
            unsigned_nodes=frozenset(choice.unsigned) - in_float,
        )
        with timed("quantizing"):
            graph = low.convert(precision)
        settings = low.settings | ({"reduce_range": True} if self.numerics.reduce_range else {})
        if compared:
            with timed("comparing with the FP32 graph"):
                low.check_made(graph)
        if choice.correct_bias:
            graph, shift = self._corrected(low.prepared, graph)
            settings["bias_shift"] = shift.tolist()
        if choice.seven_bit:
            settings["seven_bit"] = sorted(choice.seven_bit)
        if choice.unsigned:
            settings["unsigned"] = sorted(choice.unsigned)
        floats |= _layers_in_float(low.prepared, graph)
        return graph, ({"float_nodes": sorted(floats)} if floats else {}) | settings

    def notes(self, choice: Choice) -> tuple[str, ...]:
        """What of the graph stays in float although low precision was asked for, and why; what calibration warns of."""
        if self.numerics.kind is None:
            return ()
        low = self._of(choice)
        said = [f"'{name}' stays in float: {why}" for name, why in list(low.left.items())[:NAMED]]
        said += [
            f"'{name}' stays in float, as its INT8 form is wrong: {why}. This is a bug in edgefair; please report it"
            for name, why in list(low.held.items())[:NAMED]
        ]
        return (*said, *low.notes)

    def nodes(self, prune: float | None) -> tuple[str, ...]:
        """Names of the nodes that are in low precision unless a choice leaves them in float, embeddings among them."""
        low = self._of(Choice(prune, self.job.config.compress.calibration))
        return tuple(name for name in low.nodes if name not in low.small)

    def low_precision(self, prune: float | None, recipe: CalibrationRecipe) -> LowPrecision:
        """The model, pruned by this share and calibrated so, for any of its layers in low precision.

        Raises:
            ModelError: everything stays in float.
            DataError, ModelError: rows or a graph that cannot be calibrated or quantized.
        """
        if self.numerics.kind is None:
            raise ModelError("nothing is in low precision", fix="ask for it with --int8 or --fp16")
        if (key := (prune, recipe)) not in self._made:
            prepared = self.sources.prepared(prune)
            with timed("calibrating"):
                self._made[key] = self.numerics.kind(prepared, lambda: self._calibrated(prune, prepared, recipe))
        return self._made[key]

    def _of(self, choice: Choice) -> LowPrecision:
        return self.low_precision(choice.prune, recipe_of(self.job.config, choice.calibration))

    def _calibrated(self, prune: float | None, prepared: onnx.ModelProto, recipe: CalibrationRecipe) -> Calibration:
        """The recipe's rows; of a layer that was trained for INT8, the range of its training."""
        self.job.progress.stage(f"calibrating ({recipe.name})")
        source = self.sources.source(prune)
        rows, notes = self.calibration.rows(recipe)
        dims = prepared.graph.input[0].type.tensor_type.shape.dim
        takes = (dims[0].dim_value if dims else 0) or None
        count = takes or COMPARED_ROWS
        some = rows.take(np.linspace(0, len(rows) - 1, count).astype(np.int64))
        few = next(iter(self.calibration.batches(some)))
        check_prepared(onnx.load_model(source.path), prepared, few)
        learned: Ranges = {}
        if source.ranges:
            from edgefair.compress.steps.qat import ranges_of

            learned = ranges_of(prepared, source.ranges)
        cell = self.calibration.cell(recipe, rows)
        bits = 7 if self.numerics.reduce_range and recipe.weight_bits == 8 else recipe.weight_bits
        return Calibration(recipe, len(rows), notes, self.calibration.batches(rows), few, learned, cell, takes, bits)

    @timed("correcting biases")
    def _corrected(
        self, prepared: onnx.ModelProto, made: onnx.ModelProto
    ) -> tuple[onnx.ModelProto, NDArray[np.float64]]:
        """The graph with its last layer's bias corrected on training rows, every cell weighted equally."""
        config, data = self.job.config, self.job.data
        drawn = draw(data.train, config, cells_of(config, data), BIAS_ROWS, Stream.BIAS_ROWS)
        with TargetAnswers(load_profile(config.targets[0]), drawn.rows, self.spec, targets=self.job.targets) as answers:
            return correct_bias(made, prepared, self.spec, answers, drawn.cell)


def _layers_in_float(prepared: onnx.ModelProto, made: onnx.ModelProto) -> frozenset[str]:
    """Names of the prepared graph's layers and large embeddings that have an FP32 weight in the graph that was made.

    Dynamic INT8 makes a MatMul of every Gemm, whether it quantizes it or not.
    """
    layers = {*quantizable_nodes(prepared), *embedding_nodes(prepared)}
    left = {*quantizable_nodes(made), *embedding_nodes(made)}
    return frozenset(name for name in layers if name in left or f"{name}_MatMul" in left - layers)
