"""Make the model file of a compression choice. What several choices have in common is made once."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.bias_correction import correct_bias
from edgefair.compress.half import half_products, to_float16
from edgefair.compress.placement import small_layers
from edgefair.compress.prepared import (
    MARKS,
    check_quantizable,
    dynamic_nodes,
    embedding_nodes,
    prepare_graph,
    quantizable_nodes,
)
from edgefair.compress.quantize import Precision, Quantizer, quantize_dynamic
from edgefair.compress.ranges import Ranges, calibrate
from edgefair.compress.recipe import CalibrationRecipe, calibration_rows, check_calibration, open_recipe
from edgefair.compress.scores import scores
from edgefair.compress.search import Choice, Kind
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.data.groups import joint_groups
from edgefair.data.own_rows import feature_rows, unlike_training
from edgefair.data.rows import TableRows
from edgefair.debias.graph import Editor
from edgefair.errors import ModelError, UsageError
from edgefair.probe.device import saturates_int8
from edgefair.probe.spec import ModelSpec
from edgefair.targets import load_profile, open_target
from edgefair.training.settings import MethodConfig
from edgefair.workflow.answers import TargetAnswers
from edgefair.workflow.graph_inputs import GraphInputs
from edgefair.workflow.models import Dense
from edgefair.workflow.post import apply_post, post_notes
from edgefair.workflow.progress import Progress
from edgefair.workflow.stratified import cells_of, draw

if TYPE_CHECKING:
    from edgefair.compress.qat import Learned

CALIBRATION_BATCH = 256
# Training rows of every cell that correct a bias, at most.
BIAS_ROWS = 64


@dataclass(frozen=True, eq=False)
class Source:
    """The FP32 file that quantization starts from: after all torch steps.

    Attributes:
        settings: what was done, for the manifest.
        notes: what a reader must know.
        ranges: parameter name -> range of its layer's input, where training simulated INT8.
    """

    path: Path
    settings: dict[str, Any]
    notes: tuple[str, ...]
    ranges: dict[str, Learned]


@dataclass(frozen=True, eq=False)
class Made:
    """A model file, how it is read, and how it was made."""

    path: Path
    spec: ModelSpec
    settings: dict[str, Any]
    notes: tuple[str, ...]


class Candidates:
    """Makes model files.

    Args:
        dense: the model before compression.
        run: the training run that it comes from; None for a model that was there already.
        folder: where files may be put.

    Attributes:
        reduce_range: whether every weight has 7 bits, because a target's processor saturates 16-bit sums.
    """

    def __init__(
        self, config: Config, data: DataSet, dense: Dense, run: str | None, folder: Path, progress: Progress
    ) -> None:
        self.config = config
        self.data = data
        self.dense = dense
        self._run = run
        self._folder = folder
        self._progress = progress
        self.kind = _kind(config, dense.spec)
        self.reduce_range = False
        if self.kind in {"static", "dynamic"}:
            check_quantizable(onnx.load_model(dense.path), self.kind)
            # Devices are asked now: later they may be busy, and what cannot be reached is found before hours are spent.
            self.reduce_range = any(_reduce_range(name) for name in config.targets)
        self._own: dict[CalibrationRecipe, tuple[TableRows, tuple[str, ...]]] = {}
        self._sources: dict[float | None, Source] = {}
        self._prepared: dict[float | None, onnx.ModelProto] = {}
        self._ranges: dict[tuple[float | None, str], Ranges] = {}
        self._quantizers: dict[tuple[float | None, str], Quantizer] = {}
        if self.kind == "static":
            self._check_rows(open_recipe(config.compress.calibration, base=config.base))

    @property
    def changes(self) -> bool:
        """Whether anything is compressed or treated."""
        return self.config.compress.trains or self.kind is not None or bool(self.config.debias.post)

    def source(self, prune: float | None) -> Source:
        """The FP32 file after the torch steps, pruned by this share."""
        if prune not in self._sources:
            self._sources[prune] = self._shrunk(prune)
        return self._sources[prune]

    def is_dense(self, prune: float | None) -> bool:
        """Whether no torch step changes the model."""
        return self.source(prune).path == self.dense.path

    def _shrunk(self, prune: float | None) -> Source:
        compress = self.config.compress.model_copy(update={"prune": prune})
        if self._run is None or not compress.trains:
            return Source(self.dense.path, {}, (), {})
        from edgefair.exporters.torch_module import export_classifier
        from edgefair.training.run import load_run
        from edgefair.workflow.shrink import shrink

        run = load_run(self.config.run_path(self._run))
        done = shrink(
            self.config,
            self.data,
            run,
            compress=compress,
            reduce_range=compress.qat and self.reduce_range,
            progress=self._progress,
        )
        path = self._folder / f"fp32-{prune}.onnx"
        self._progress(0, 0, "exporting to ONNX")
        export_classifier(done.classifier, run.spec, run.array_shapes, path)
        return Source(path, done.made, done.notes, done.ranges)

    def prepared(self, prune: float | None) -> onnx.ModelProto:
        """The graph whose nodes a choice names."""
        if prune not in self._prepared:
            self._prepared[prune] = prepare_graph(onnx.load_model(self.source(prune).path))
        return self._prepared[prune]

    def ranges(self, choice: Choice) -> Ranges:
        """Range of every activation on calibration rows; of a layer that was trained for INT8, that of its training."""
        key = (choice.prune, choice.calibration)
        if key not in self._ranges:
            recipe = self.recipe(choice)
            self._progress(0, 0, f"calibrating ({recipe.name})")
            prepared = self.prepared(choice.prune)
            found = calibrate(
                prepared, self.calibration_batches(recipe), method=recipe.method, percentile=recipe.percentile
            )
            learned = self.source(choice.prune).ranges
            if learned:
                from edgefair.compress.qat import ranges_of

                found |= ranges_of(prepared, learned)
            self._ranges[key] = found
        return self._ranges[key]

    def _quantizer(self, choice: Choice) -> Quantizer:
        key = (choice.prune, choice.calibration)
        if key not in self._quantizers:
            self._quantizers[key] = Quantizer(self.prepared(choice.prune), self.ranges(choice), self.recipe(choice))
        return self._quantizers[key]

    def recipe(self, choice: Choice) -> CalibrationRecipe:
        """The calibration recipe of a choice."""
        return open_recipe(choice.calibration, base=self.config.base)

    def calibration_rows(self, recipe: CalibrationRecipe) -> tuple[TableRows, tuple[str, ...]]:
        """The rows that a recipe takes, of training or of a file of its own, and what to warn of."""
        if recipe.source is not None:
            return self._own_rows(recipe)
        train, attributes = self.data.train, self.config.policy.base_attributes
        loss = None
        if recipe.balance == "group-worst":
            train, loss = self._with_loss(recipe)
        group, groups = joint_groups(train.sensitive, attributes)
        chosen = calibration_rows(
            recipe, group=group, label=train.label, groups=len(groups), seed=self.config.seed, loss=loss
        )
        return train.take(chosen), check_calibration(recipe, chosen, group=group, label=train.label)

    def _check_rows(self, recipe: CalibrationRecipe) -> None:
        """Refuse a recipe that the rows cannot serve, before anything is trained; losses decide nothing of that."""
        if recipe.source is not None:
            self._own_rows(recipe)
            return
        train = self.data.train
        group, groups = joint_groups(train.sensitive, self.config.policy.base_attributes)
        loss = np.zeros(len(train))
        calibration_rows(recipe, group=group, label=train.label, groups=len(groups), seed=self.config.seed, loss=loss)

    def _own_rows(self, recipe: CalibrationRecipe) -> tuple[TableRows, tuple[str, ...]]:
        if recipe not in self._own:
            source = str(recipe.source)
            own = feature_rows(self.config.data, self.data, source, base=self.config.base)
            nobody = np.zeros(len(own), dtype=np.int64)
            chosen = calibration_rows(recipe, group=nobody, label=nobody, groups=1, seed=self.config.seed)
            check_calibration(recipe, chosen, group=nobody, label=nobody)
            rows = own.take(chosen)
            unlike = unlike_training(rows, self.data.train, seed=self.config.seed)
            self._own[recipe] = rows, tuple(f"calibration rows of '{source}': {warning}" for warning in unlike)
        return self._own[recipe]

    def _with_loss(self, recipe: CalibrationRecipe) -> tuple[TableRows, NDArray[np.float64]]:
        """Training rows of every cell, as many as the recipe could take from one, and their loss before compression."""
        drawn = draw(self.data.train, self.config, cells_of(self.config, self.data), recipe.rows, 31)
        model = onnx.load_model(self.dense.path)
        with TargetAnswers(load_profile("local"), drawn.rows, self.dense.spec) as answers:
            return drawn.rows, scores(model, answers, self.dense.spec).loss(drawn.rows.label)

    def calibration_batches(self, recipe: CalibrationRecipe) -> GraphInputs:
        """The calibration rows as graph inputs."""
        return self.batches(self.calibration_rows(recipe)[0])

    def batches(self, rows: TableRows) -> GraphInputs:
        """Rows as the graph takes them."""
        return GraphInputs(rows, self.dense.spec, CALIBRATION_BATCH)

    def make(self, choice: Choice, to: Path) -> Made:
        """Write the model file of a choice."""
        source = self.source(choice.prune)
        model, settings = self._quantized(choice)
        onnx.save_model(model, to)
        spec, notes = self.dense.spec, source.notes
        if self.kind == "static":
            notes = (*notes, *self.calibration_rows(self.recipe(choice))[1])
        post = (*self.config.debias.post, *(MethodConfig(method=name) for name in choice.post))
        if post:
            spec, chosen = apply_post(self.config, self.data, spec, to, to, post, self._progress)
            settings |= {"post": chosen}
            notes = (*notes, *post_notes(chosen))
        return Made(to, spec, source.settings | settings, notes)

    @functools.cached_property
    def corrects_bias(self) -> bool:
        """Whether the graph ends in a layer whose bias can be corrected."""
        try:
            Editor(onnx.load_model(self.dense.path), self.dense.spec).last_layer()
        except ModelError:
            return False
        return True

    def _corrected(self, choice: Choice, quantized: onnx.ModelProto) -> tuple[onnx.ModelProto, NDArray[np.float64]]:
        """The graph with its last layer's bias corrected on training rows, every cell weighing alike."""
        drawn = draw(self.data.train, self.config, cells_of(self.config, self.data), BIAS_ROWS, 37)
        with TargetAnswers(load_profile(self.config.targets[0]), drawn.rows, self.dense.spec) as answers:
            return correct_bias(quantized, self.prepared(choice.prune), self.dense.spec, answers, drawn.cell)

    def graph(self, choice: Choice) -> onnx.ModelProto:
        """The compressed graph of a choice, before treatments."""
        return self._quantized(choice)[0]

    def nodes(self, prune: float | None) -> tuple[str, ...]:
        """Names of the nodes that are INT8 or half unless a choice leaves them in float, embeddings among them."""
        graph = self.prepared(prune)
        if self.kind == "fp16":
            return half_products(graph)
        if self.kind == "dynamic":
            return dynamic_nodes(graph)
        left = self._too_small(prune)
        on_cpu = self.recipe(Choice(prune, self.config.compress.calibration)).runtime == "onnxruntime-cpu"
        tables = embedding_nodes(graph) if on_cpu else ()
        return (*tables, *(name for name in quantizable_nodes(graph) if name not in left))

    def _too_small(self, prune: float | None) -> frozenset[str]:
        """Layers that are no faster in INT8: they stay in float, unless all are."""
        if self.kind != "static":
            return frozenset()
        small = small_layers(self.prepared(prune))
        return frozenset() if small >= set(quantizable_nodes(self.prepared(prune))) else small

    def _quantized(self, choice: Choice) -> tuple[onnx.ModelProto, dict[str, Any]]:
        floats = frozenset(choice.float_nodes)
        if self.kind is None:
            return onnx.load_model(self.source(choice.prune).path), {}
        if floats and floats >= set(self.nodes(choice.prune)):
            return onnx.load_model(self.source(choice.prune).path), {"float_nodes": sorted(floats)}
        settings: dict[str, Any] = {"float_nodes": sorted(floats)} if floats else {}
        if self.kind == "fp16":
            half = to_float16(self.prepared(choice.prune), float_nodes=floats)
            kept = [item for item in half.metadata_props if item.key not in MARKS]
            del half.metadata_props[:]
            half.metadata_props.extend(kept)
            return half, settings | {"fp16": True}
        settings |= {"int8": self.kind, "reduce_range": self.reduce_range}
        if self.kind == "dynamic":
            graph = self.prepared(choice.prune)
            return quantize_dynamic(graph, reduce_range=self.reduce_range, float_nodes=floats), settings
        recipe = self.recipe(choice)
        floats |= self._too_small(choice.prune)
        precision = Precision(
            float_nodes=floats,
            reduced_nodes=None if self.reduce_range else frozenset(choice.seven_bit) - floats,
            unsigned_nodes=frozenset(choice.unsigned) - floats,
        )
        quantized = self._quantizer(choice).quantize(precision)
        settings |= {
            "calibration": recipe.model_dump(mode="json"),
            "calibration_rows": len(self.calibration_rows(recipe)[0]),
        }
        if choice.correct_bias:
            quantized, shift = self._corrected(choice, quantized)
            settings["bias_shift"] = shift.tolist()
        if choice.seven_bit:
            settings["seven_bit"] = sorted(choice.seven_bit)
        if choice.unsigned:
            settings["unsigned"] = sorted(choice.unsigned)
        return quantized, settings


def check_recipes(config: Config) -> None:
    """Refuse calibration recipes that cannot be read, before hours are spent.

    Raises:
        UsageError: an unknown one.
    """
    repair = config.compress.repair
    for name in (config.compress.calibration, *(repair.calibrations if repair.enabled else ())):
        open_recipe(name, base=config.base)


def _kind(config: Config, spec: ModelSpec) -> Kind | None:
    if config.compress.fp16:
        return "fp16"
    kind = config.compress.int8
    if kind == "auto":
        kind = "dynamic" if any(item.tokens is not None for item in spec.inputs) else "static"
    if config.compress.qat and kind != "static":
        raise UsageError(
            "qat trains for static INT8, and texts get dynamic INT8", fix="add --int8 static, or drop --qat"
        )
    return kind


def _reduce_range(target: str) -> bool:
    """Whether a target's processor needs 7-bit weights: as its profile says, else as its fingerprint says."""
    profile = load_profile(target)
    if isinstance(profile.reduce_range, bool):
        return profile.reduce_range
    with open_target(profile) as probe:
        return saturates_int8(probe.device)
