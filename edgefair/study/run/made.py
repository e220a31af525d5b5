"""The file of a cell, by the steps of `export`, and what it costs."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from edgefair.compress.quantization.macs import node_macs
from edgefair.compress.quantization.prepare import embedding_nodes, quantizable_nodes
from edgefair.compress.search.choice import Choice
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.scratch import work_folder
from edgefair.workflow.compression.candidates import Candidates
from edgefair.workflow.job import Job
from edgefair.workflow.models.reference import Reference
from edgefair.workflow.models.trained import trained_model

MODEL = "model.onnx"


@dataclass(frozen=True, eq=False)
class File:
    """A model file that is measured.

    Attributes:
        spec: how it is read.
        params, macs: of the float network that it was made from: numbers, and multiply-accumulates of one row.
        recipe: what was done, JSON.
    """

    path: Path
    spec: ModelSpec
    params: int
    macs: int
    recipe: dict[str, Any]


def reference_of(job: Job, run: str, folder: Path) -> Reference:
    """The float file of a training, exported once for all its extents.

    Args:
        folder: of the file, which appears whole or not at all.

    Raises:
        ModelError: a network that cannot be exported.
    """
    from edgefair.training.run import load_run

    if not (folder / MODEL).exists():
        with work_folder() as work:
            trained_model(job.config, run, work / "reference" / MODEL, job.progress)
            beside = folder.with_name(f".{folder.name}.{os.getpid()}")
            shutil.copytree(work / "reference", beside, dirs_exist_ok=True)
        try:
            beside.rename(folder)
        except OSError:  # another process has exported it meanwhile
            shutil.rmtree(beside, ignore_errors=True)
            if not (folder / MODEL).exists():
                raise
    finished = load_run(job.config.run_path(run))
    return Reference(finished.spec, folder / MODEL, {"run": run, "training": finished.settings})


def make_file(job: Job, reference: Reference, run: str, work: Path) -> File:
    """The file that a cell's config asks for; the float file itself where it asks for nothing.

    Raises:
        UsageError, DataError, ModelError, MeasurementError: as `export` does.
    """
    candidates = Candidates(job, reference, run, work)
    prune = job.config.compress.prune
    path, spec, recipe = reference.path, reference.spec, {}
    if candidates.changes:
        made = candidates.make(Choice(prune, job.config.compress.calibration), work / MODEL)
        path, spec, recipe = made.path, made.spec, made.settings
    prepared = candidates.sources.prepared(prune)
    return File(path, spec, _parameters(prepared), sum(node_macs(prepared).values()), recipe)


def _parameters(graph: onnx.ModelProto) -> int:
    """Weights and biases of the layers and large embeddings of a prepared graph, those that two share counted once."""
    layers = {*quantizable_nodes(graph), *embedding_nodes(graph)}
    read = {name for node in graph.graph.node if node.name in layers for name in node.input}
    return sum(math.prod(item.dims) for item in graph.graph.initializer if item.name in read)
