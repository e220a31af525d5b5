"""Train a network into a run folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import edgefair
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.errors import UsageError
from edgefair.files import sha256_json
from edgefair.measure.counts import GroupCounts
from edgefair.workflow.progress import Progress, silent

if TYPE_CHECKING:
    from edgefair.config import Config
    from edgefair.data.dataset import AuditSet
    from edgefair.training.classifier import Classifier
    from edgefair.training.loop import TrainingRows
    from edgefair.training.run import Run

ENCODE_ROWS = 8192


def train(
    config: Config, *, name: str, seed: int | None = None, overwrite: bool = False, progress: Progress = silent
) -> Run:
    """Train the configured network, with the configured treatments, into runs/NAME.

    An interrupted run with the same settings goes on after its last whole epoch; a finished one is returned as it is.

    Args:
        name: name of the run.
        seed: overrides the config's.
        overwrite: replace a run of that name that has other settings.

    Raises:
        UsageError: a run of that name has other settings; an unknown network or method.
        DataError: rows that cannot be trained on.
    """
    from edgefair.debias import open_method
    from edgefair.training.build import build_classifier
    from edgefair.training.checkpoint import Checkpoint, read_metadata, save_weights
    from edgefair.training.features import spec_for
    from edgefair.training.loop import train as fit
    from edgefair.training.run import Run, load_run

    seed = config.seed if seed is None else seed
    methods = [open_method(item.method, item.options) for item in config.debias.train]
    progress(0, 0, "reading")
    data = load(config.data, base=config.base, roles=("train", "validation"))
    spec = spec_for(data, threshold=config.model.threshold)
    array_shapes = data.array_shapes()
    settings = _settings(config, data, seed)
    folder = config.run_path(name)
    checkpoint = Checkpoint(folder / "checkpoint.safetensors", sha256_json(settings))
    if (folder / "run.json").exists() and not overwrite:
        run = load_run(folder)
        if run.settings == settings:
            return run
        raise _taken(folder, run.settings, settings)
    if overwrite or read_metadata(checkpoint.path).get("settings") not in {None, checkpoint.settings}:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)

    classifier = build_classifier(spec, config.model, array_shapes, seed=seed)
    attributes = config.policy.base_attributes or tuple(config.data.sensitive)
    rows = _training_rows(data, spec, attributes)
    classifier.preprocess.fit(*rows.inputs)
    losses = fit(classifier, rows, methods, config.train, seed=seed, checkpoint=checkpoint, progress=progress)
    save_weights(classifier, folder / "model.safetensors")
    progress(0, 0, "validating")
    counts = validation_counts(classifier, data.validation, spec, attributes)
    metrics: dict[str, Any] = {"loss": losses, "validation": counts.to_json()}
    run = Run(folder, spec, config.model, array_shapes, settings, metrics)
    run.save()
    checkpoint.path.unlink(missing_ok=True)
    return run
