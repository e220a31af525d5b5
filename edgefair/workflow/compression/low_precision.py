"""The compressed graph of a choice. What several choices have in common is made once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.quantization.agreement import check_agreement, check_prepared, disagreements
from edgefair.compress.quantization.bias_correction import correct_bias
from edgefair.compress.quantization.calibrate import Ranges, calibrate
from edgefair.compress.quantization.fp16 import half_products, to_float16
from edgefair.compress.quantization.placement import small_layers
from edgefair.compress.quantization.prepare import (
    MARKS,
    dynamic_nodes,
    embedding_nodes,
    quantizable_nodes,
    unquantizable_nodes,
)
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision, Quantizer, quantize_dynamic
from edgefair.compress.search.search import Choice
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress
from edgefair.targets import load_profile
from edgefair.workflow.compression.calibration import CalibrationRows
from edgefair.workflow.compression.fp32 import Sources
from edgefair.workflow.compression.precision import Numerics
from edgefair.workflow.compression.recipes import recipe_of
from edgefair.workflow.measurement.outputs import TargetAnswers
from edgefair.workflow.measurement.sampling import cells_of, draw

# Training rows of every cell that correct a bias, at most.
BIAS_ROWS = 64
# Calibration rows on which every node of an INT8 graph is compared with the FP32 graph's.
COMPARED_ROWS = 4
# Layers that a note names at most.
NAMED = 5


class Graphs:
    """Brings graphs into low precision as choices say, before treatments.

    Args:
        spec: how the model is fed and read.
        sources: the graphs in float.
    """

    def __init__(
        self,
        config: Config,
        data: DataSet,
        spec: ModelSpec,
        numerics: Numerics,
        sources: Sources,
        calibration: CalibrationRows,
        progress: Progress,
    ) -> None:
        self._config = config
        self._data = data
        self._spec = spec
        self._kind = numerics.kind
        self._reduce_range = numerics.reduce_range
        self._sources = sources
        self._calibration = calibration
        self._progress = progress
        self._ranges: dict[tuple[float | None, str], Ranges] = {}
        self._quantizers: dict[tuple[float | None, str], Quantizer] = {}
        self._compared: dict[tuple[float | None, str], dict[str, NDArray[Any]]] = {}

    def make(self, choice: Choice, *, compared: bool) -> tuple[onnx.ModelProto, dict[str, Any]]:
        """The graph, and what was done, for the manifest.

        Args:
            compared: whether every node of a static INT8 graph is compared with the FP32 graph's.

        Raises:
            DataError, ModelError: rows or a graph that cannot be calibrated or quantized; an INT8 graph that differs by
                more than its codes explain.
            MeasurementError: a bias is corrected, and the first target gave no answers that can be believed.
        """
        if self._kind is None:
            return onnx.load_model(self._sources.source(choice.prune).path), {}
        prepared = self._sources.prepared(choice.prune)
        floats = frozenset(choice.float_nodes)
        if floats and floats >= set(self.nodes(choice.prune)):
            float_graph = onnx.load_model(self._sources.source(choice.prune).path)
            return float_graph, {"float_nodes": sorted(floats | _layers_in_float(prepared, prepared))}
        graph, settings = self._low_precision(choice, prepared, floats, compared)
        floats |= _layers_in_float(prepared, graph)
        return graph, ({"float_nodes": sorted(floats)} if floats else {}) | settings

    def notes(self, choice: Choice) -> tuple[str, ...]:
        """What of the graph stays in float although low precision was asked for, and why."""
        if self._kind not in {"static", "dynamic"}:
            return ()
        left = unquantizable_nodes(self._sources.prepared(choice.prune))
        quantizer = self._quantizers.get((choice.prune, choice.calibration))
        held = {} if quantizer is None else quantizer.held
        said = [f"'{name}' stays in float: {why}" for name, why in list(left.items())[:NAMED]]
        said += [
            f"'{name}' stays in float, as its INT8 form is wrong: {why}. Please report this error of edgefair's"
            for name, why in list(held.items())[:NAMED]
        ]
        return tuple(said)

    def nodes(self, prune: float | None) -> tuple[str, ...]:
        """Names of the nodes that are INT8 or half unless a choice leaves them in float, embeddings among them."""
        graph = self._sources.prepared(prune)
        if self._kind == "fp16":
            return half_products(graph)
        if self._kind == "dynamic":
            return dynamic_nodes(graph)
        left = self._too_small(prune)
        on_cpu = self.recipe(Choice(prune, self._config.compress.calibration)).runtime == "onnxruntime-cpu"
        tables = embedding_nodes(graph) if on_cpu else ()
        return (*tables, *(name for name in quantizable_nodes(graph) if name not in left))

    def recipe(self, choice: Choice) -> CalibrationRecipe:
        """The calibration recipe of a choice."""
        return recipe_of(self._config, choice.calibration)

    def ranges(self, choice: Choice) -> Ranges:
        """Range of every activation on calibration rows; of a layer that was trained for INT8, that of its training."""
        key = (choice.prune, choice.calibration)
        if key not in self._ranges:
            recipe = self.recipe(choice)
            self._progress.stage(f"calibrating ({recipe.name})")
            prepared = self._sources.prepared(choice.prune)
            rows, _ = self._calibration.rows(recipe)
            batches = self._calibration.batches(rows)
            found = calibrate(prepared, batches, method=recipe.method, percentile=recipe.percentile)
            learned = self._sources.source(choice.prune).ranges
            if learned:
                from edgefair.compress.steps.qat import ranges_of

                found |= ranges_of(prepared, learned)
            self._ranges[key] = found
        return self._ranges[key]

    def _low_precision(
        self, choice: Choice, prepared: onnx.ModelProto, floats: frozenset[str], compared: bool
    ) -> tuple[onnx.ModelProto, dict[str, Any]]:
        if self._kind == "fp16":
            return _unmarked(to_float16(prepared, float_nodes=floats)), {"fp16": True}
        settings: dict[str, Any] = {"int8": self._kind, "reduce_range": self._reduce_range}
        if self._kind == "dynamic":
            return quantize_dynamic(prepared, reduce_range=self._reduce_range, float_nodes=floats), settings
        graph, made = self._static(choice, compared)
        return graph, settings | made

    def _static(self, choice: Choice, compared: bool) -> tuple[onnx.ModelProto, dict[str, Any]]:
        recipe = self.recipe(choice)
        floats = frozenset(choice.float_nodes) | self._too_small(choice.prune)
        precision = Precision(
            float_nodes=floats,
            reduced_nodes=None if self._reduce_range else frozenset(choice.seven_bit) - floats,
            unsigned_nodes=frozenset(choice.unsigned) - floats,
        )
        quantizer = self._quantizer(choice)
        graph = quantizer.quantize(precision)
        if compared:
            check_agreement(disagreements(quantizer.prepared, graph, self._few(choice)))
        settings: dict[str, Any] = {
            "calibration": recipe.model_dump(mode="json"),
            "calibration_rows": len(self._calibration.rows(recipe)[0]),
        }
        if choice.correct_bias:
            graph, shift = self._corrected(choice, graph)
            settings["bias_shift"] = shift.tolist()
        if choice.seven_bit:
            settings["seven_bit"] = sorted(choice.seven_bit)
        if choice.unsigned:
            settings["unsigned"] = sorted(choice.unsigned)
        return graph, settings

    def _quantizer(self, choice: Choice) -> Quantizer:
        key = (choice.prune, choice.calibration)
        if key not in self._quantizers:
            prepared = self._sources.prepared(choice.prune)
            quantizer = Quantizer(prepared, self.ranges(choice), self.recipe(choice))
            few = self._few(choice)
            check_prepared(onnx.load_model(self._sources.source(choice.prune).path), prepared, few)
            quantizer.hold(Precision(float_nodes=self._too_small(choice.prune)), few)
            self._quantizers[key] = quantizer
        return self._quantizers[key]

    def _few(self, choice: Choice) -> dict[str, NDArray[Any]]:
        """Some calibration rows from all over, as many as the graph takes at once, as graph inputs."""
        key = (choice.prune, choice.calibration)
        if key not in self._compared:
            rows, _ = self._calibration.rows(self.recipe(choice))
            dims = self._sources.prepared(choice.prune).graph.input[0].type.tensor_type.shape.dim
            count = (dims[0].dim_value if dims else 0) or COMPARED_ROWS
            chosen = np.linspace(0, len(rows) - 1, count).astype(np.int64)
            self._compared[key] = next(iter(self._calibration.batches(rows.take(chosen))))
        return self._compared[key]

    def _too_small(self, prune: float | None) -> frozenset[str]:
        """Layers that are no faster in INT8: they stay in float, unless all are."""
        if self._kind != "static":
            return frozenset()
        prepared = self._sources.prepared(prune)
        small = small_layers(prepared)
        return frozenset() if small >= set(quantizable_nodes(prepared)) else small

    def _corrected(self, choice: Choice, quantized: onnx.ModelProto) -> tuple[onnx.ModelProto, NDArray[np.float64]]:
        """The graph with its last layer's bias corrected on training rows, every cell weighing alike."""
        drawn = draw(self._data.train, self._config, cells_of(self._config, self._data), BIAS_ROWS, 37)
        with TargetAnswers(load_profile(self._config.targets[0]), drawn.rows, self._spec) as answers:
            return correct_bias(quantized, self._sources.prepared(choice.prune), self._spec, answers, drawn.cell)


def _layers_in_float(prepared: onnx.ModelProto, made: onnx.ModelProto) -> frozenset[str]:
    """Names of the prepared graph's layers and large embeddings that have an FP32 weight in the graph that was made.

    Dynamic INT8 makes a MatMul of every Gemm, whether it quantizes it or not.
    """
    layers = {*quantizable_nodes(prepared), *embedding_nodes(prepared)}
    left = {*quantizable_nodes(made), *embedding_nodes(made)}
    return frozenset(name for name in layers if name in left or f"{name}_MatMul" in left - layers)


def _unmarked(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without what preparation noted in it."""
    kept = [item for item in model.metadata_props if item.key not in MARKS]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    return model
