"""The FP32 files that low precision starts from: a trained network after all torch steps, by how much it is pruned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.files import write_atomic
from edgefair.workflow.job import Job
from edgefair.workflow.models.reference import Reference

if TYPE_CHECKING:
    from edgefair.compress.steps.base import Learned


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


class Sources:
    """Carries out the torch steps, once for each share that is pruned.

    Args:
        reference: the model before compression.
        run: the training run that it comes from; None for a model that was there already, which no torch step changes.
        folder: where files may be put.
        reduce_range: whether INT8 weights will have 7 bits.
    """

    def __init__(self, job: Job, reference: Reference, run: str | None, folder: Path, *, reduce_range: bool) -> None:
        self._job = job
        self._reference = reference
        self._run = run
        self._folder = folder
        self._reduce_range = reduce_range
        self._sources: dict[float | None, Source] = {}
        self._prepared: dict[float | None, onnx.ModelProto] = {}

    def source(self, prune: float | None) -> Source:
        """The FP32 file, pruned by this share.

        Raises:
            UsageError, DataError, ModelError: see `workflow.compression.run_steps.shrink`.
        """
        if prune not in self._sources:
            self._sources[prune] = self._shrunk(prune)
        return self._sources[prune]

    def prepared(self, prune: float | None) -> onnx.ModelProto:
        """That file's graph, prepared for quantization."""
        if prune not in self._prepared:
            self._prepared[prune] = prepare_graph(onnx.load_model(self.source(prune).path))
        return self._prepared[prune]

    def _shrunk(self, prune: float | None) -> Source:
        compress = self._job.config.compress.model_copy(update={"prune": prune})
        if self._run is None or not compress.trains:
            return Source(self._reference.path, {}, (), {})
        from edgefair.exporters.torch_module import export_classifier
        from edgefair.training.run import load_run
        from edgefair.workflow.compression.run_steps import shrink

        run = load_run(self._job.config.run_path(self._run))
        done = shrink(self._job, run, compress=compress, reduce_range=compress.qat and self._reduce_range)
        shelf = self._job.shelf
        path = self._folder / f"fp32-{prune}.onnx" if shelf is None else shelf / f"{done.digest}.onnx"
        if shelf is None or not path.exists():
            self._job.progress.stage("exporting to ONNX")
            made = self._folder / "exported.onnx"
            export_classifier(done.classifier, run.spec, run.array_shapes, made)
            write_atomic(path, made.read_bytes())
            made.unlink()
        return Source(path, done.made, done.notes, done.ranges)
