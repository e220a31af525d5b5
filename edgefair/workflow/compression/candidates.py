"""The model file of a compression choice, and everything that is asked about it on the way."""

from __future__ import annotations

import functools
import itertools
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from edgefair.compress.search.choice import Choice
from edgefair.data.rows import TableRows
from edgefair.errors import ModelError
from edgefair.graphs.editor import Editor
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import timed
from edgefair.training.settings import MethodConfig
from edgefair.workflow.compression.calibration import CalibrationRows
from edgefair.workflow.compression.fp32 import Sources
from edgefair.workflow.compression.low_precision import Graphs
from edgefair.workflow.compression.post import apply_post, post_notes
from edgefair.workflow.compression.precision import numerics_of
from edgefair.workflow.compression.recipes import recipe_of
from edgefair.workflow.job import Job
from edgefair.workflow.models.graph_inputs import GraphInputs
from edgefair.workflow.models.reference import Reference
from edgefair.workflow.training.encoded_once import EncodedOnce

# Of files that are kept, in case that they are asked for again.
MOST_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Made:
    """A model file, how it is read, and how it was made."""

    path: Path
    spec: ModelSpec
    settings: dict[str, Any]
    notes: tuple[str, ...]


class Candidates:
    """Makes model files, each once: the last ones are kept, as long as they are not large together.

    Args:
        reference: the model before compression.
        run: the training run that it comes from; None for a model that was there already.
        folder: where files may be put.

    Attributes:
        kind: which low precision files get; None where they stay in float.
        reduce_range: whether every weight has 7 bits, because a target's processor saturates 16-bit sums.
        sources: the FP32 files after the torch steps.
        graphs: their graphs in low precision.
        validation: the rows that candidates are tried on.

    Raises:
        UsageError: steps that contradict, or no such recipe.
        DataError: a recipe that the rows cannot serve.
        ModelError: a graph that cannot be quantized.
        MeasurementError: a target that cannot be reached.
    """

    def __init__(self, job: Job, reference: Reference, run: str | None, folder: Path) -> None:
        self.job = job
        self.reference = reference
        self.validation = EncodedOnce.of(job.data.validation)
        self._folder, self._files, self._numbers = folder, dict[Choice, Made](), itertools.count()
        config = job.config
        numerics = numerics_of(config, reference, job.targets)
        self.kind, self.reduce_range = numerics.kind, numerics.reduce_range
        self._calibration = CalibrationRows(job, reference)
        if self.kind is not None and self.kind.uncalibrated is None:
            self._check_calibration()
        self.sources = Sources(job, reference, run, folder, reduce_range=self.reduce_range)
        self.graphs = Graphs(job, reference.spec, numerics, self.sources, self._calibration)

    def _check_calibration(self) -> None:
        """Refuse rows that cannot calibrate: those of the recipe, and files of rows that the repair may try."""
        self._calibration.check(recipe_of(self.job.config, self.job.config.compress.calibration))
        compress = self.job.config.compress
        names = (*compress.rungs, *compress.repair.calibrations) if self.repairs else ()
        for recipe in (recipe_of(self.job.config, name) for name in names):
            if recipe.source is not None:
                self._calibration.check(recipe)

    @property
    def changes(self) -> bool:
        """Whether anything is compressed or treated."""
        return self.job.config.compress.trains or self.kind is not None or bool(self.job.config.debias.post)

    @property
    def repairs(self) -> bool:
        """Whether a choice that fails may be repaired: that is asked for, and there are rows to search with."""
        config, data = self.job.config, self.job.data
        return config.compress.repair.enabled and len(data.train) > 0 and len(data.validation) > 0

    @functools.cached_property
    def corrects_bias(self) -> bool:
        """Whether the graph ends in a layer whose bias can be corrected."""
        try:
            Editor(onnx.load_model(self.reference.path), self.reference.spec).last_layer()
        except ModelError:
            return False
        return True

    @functools.cached_property
    def refits(self) -> bool:
        """Whether the graph has scores that a threshold can be chosen on."""
        try:
            Editor(onnx.load_model(self.reference.path), self.reference.spec).score()
        except ModelError:
            return False
        return True

    @timed("making the file")
    def make(self, choice: Choice, to: Path) -> Made:
        """Write the model file of a choice."""
        if choice not in self._files:
            self._files[choice] = self._made(choice, self._folder / f"made-{next(self._numbers)}.onnx")
        made = self._files[choice]
        shutil.copyfile(made.path, to)
        self._drop_old()
        return replace(made, path=to)

    def _drop_old(self) -> None:
        """Let the oldest files go where all of them are large."""
        while len(self._files) > 1 and sum(made.path.stat().st_size for made in self._files.values()) > MOST_BYTES:
            self._files.pop(next(iter(self._files))).path.unlink()

    def _made(self, choice: Choice, to: Path) -> Made:
        source = self.sources.source(choice.prune)
        model, settings = self.graphs.make(choice, compared=True)
        onnx.save_model(model, to)
        spec, notes = self.reference.spec, (*source.notes, *self.graphs.notes(choice))
        post = (*self.job.config.debias.post, *(MethodConfig(method=name) for name in choice.post))
        if post:
            spec, chosen = apply_post(self.job, self.validation, spec, to, post)
            settings |= {"post": chosen}
            notes = (*notes, *post_notes(chosen))
        return Made(to, spec, source.settings | settings, notes)

    def graph(self, choice: Choice) -> onnx.ModelProto:
        """The compressed graph of a choice, before treatments: to be looked at, not shipped."""
        return self.graphs.make(choice, compared=False)[0]

    def is_reference(self, prune: float | None) -> bool:
        """Whether no torch step changes the model."""
        return self.sources.source(prune).path == self.reference.path

    def batches(self, rows: TableRows) -> GraphInputs:
        """Rows as the graph takes them."""
        return self._calibration.batches(rows)
