"""What a trained network says of rows, and of training rows that it was not trained on."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgefair.config import with_budget
from edgefair.data.identity.units import unit_keys
from edgefair.data.purity.draws import uniform
from edgefair.data.rows import TableRows
from edgefair.errors import DataError
from edgefair.workflow.job import Job
from edgefair.workflow.training.fit import fit, training_rows

if TYPE_CHECKING:
    from torch import Tensor

    from edgefair.probe.onnx_files.spec import ModelSpec
    from edgefair.training.classifier import Classifier

BATCH_ROWS = 1024


def probability_of(classifier: Classifier, rows: TableRows, spec: ModelSpec) -> Tensor:
    """P(class) of every row, float32 [rows, classes]."""
    import torch

    names = [item.name for item in spec.inputs]
    with torch.no_grad():
        found = [
            classifier(*(torch.from_numpy(batch[name]) for name in names)).softmax(dim=1)
            for batch in rows.inputs(spec, rows.batch_rows(spec, BATCH_ROWS))
        ]
    return torch.cat(found) if found else torch.zeros(0, len(spec.classes))


def out_of_fold(job: Job, folds: int) -> Tensor:
    """P(class) of every training row by the configured network trained, without treatments, on the other folds.

    A hash of who a row is chooses its fold: whoever is one unit of a split (a subject, equal rows) is in one fold.

    Returns:
        float32 [training rows, classes].

    Raises:
        DataError: a fold without rows, or a class that the other folds lack.
    """
    import torch

    from edgefair.training.features import spec_for

    rows, spec = job.data.train, spec_for(job.data, job.config.model)
    draw = uniform(unit_keys(job.config.data, rows), seed=job.config.data.purity.seed, salt="folds")
    fold = (draw * folds).astype(np.int64)
    found = torch.zeros(len(rows), len(spec.classes))
    for number in range(folds):
        _check_fold(fold == number, rows.label, folds)
        job.progress.stage(f"training without fold {number + 1} of {folds}")
        classifier = _trained_on(job, rows.take(np.flatnonzero(fold != number)), spec)
        mine = np.flatnonzero(fold == number)
        found[torch.from_numpy(mine)] = probability_of(classifier, rows.take(mine), spec)
    return found


def _check_fold(mine: NDArray[np.bool_], label: NDArray[np.int64], folds: int) -> None:
    lacking = np.setdiff1d(label, label[~mine])
    if not mine.any() or len(lacking):
        raise DataError(
            f"{len(label):,} training rows are too few for {folds} folds: one of them is empty, or has all rows of a "
            "label",
            expected="rows of every label in every fold",
            fix="lower the number of folds, or add rows",
        )


def _trained_on(job: Job, rows: TableRows, spec: ModelSpec) -> Classifier:
    from edgefair.training.build import build_classifier
    from edgefair.training.checkpoint import Checkpoint
    from edgefair.training.engine import Engine
    from edgefair.training.loop import TrainingRecipe

    data = dataclasses.replace(job.data, splits={**job.data.splits, "train": rows})
    config = with_budget(job.config, len(rows))
    classifier = build_classifier(spec, config.model, data.array_shapes(), seed=config.seed)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            Job(config, data, job.progress),
            spec,
            classifier,
            TrainingRecipe(config.train, ()),
            rows=training_rows(
                data,
                spec,
                config.policy.base_attributes,
                memory_mb=config.train.memory_mb,
                learn=classifier.preprocess,
            ),
            checkpoint=Checkpoint(Path(folder) / "checkpoint.safetensors", ""),
            engine=Engine(config.train.device),
        )
    return classifier.eval()
