"""One stage of training, of a whole network or of a pruned one: the rows, the loop, and what to say of the result."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefair.data.dataset import DataSet, Role
from edgefair.data.files.encoded import EncodedRows
from edgefair.data.groups import joint_groups
from edgefair.joint import group_name
from edgefair.measure.counts import GroupCounts
from edgefair.progress import timed
from edgefair.workflow.job import Job

if TYPE_CHECKING:
    from torch import Tensor

    from edgefair.data.rows import TableRows
    from edgefair.probe.onnx_files.spec import ModelSpec
    from edgefair.training.checkpoint import Checkpoint
    from edgefair.training.classifier import Classifier, Preprocess
    from edgefair.training.engine import Engine
    from edgefair.training.loop import TrainingRecipe
    from edgefair.training.rows import TrainingRows
    from edgefair.training.selection import Standing
    from edgefair.workflow.training.operating_point import Scored

ENCODE_ROWS = 8192
# So many of the batches that suit a processor's cache are one on a GPU, which waits for its next work otherwise.
GPU_BATCHES = 16


def fit(
    job: Job,
    spec: ModelSpec,
    classifier: Classifier,
    recipe: TrainingRecipe,
    *,
    rows: TrainingRows,
    checkpoint: Checkpoint,
    engine: Engine,
) -> dict[str, Any]:
    """Train in place, keep the epoch that `train.keep` says, and return its metrics on the validation rows.

    Raises:
        DataError: rows that a method cannot be used on, or training that diverged at once.
    """
    import torch

    from edgefair.training.loop import train
    from edgefair.training.selection import aims, standing
    from edgefair.workflow.training.operating_point import best_standing, points

    policy, validation, settings = job.config.policy, job.data.validation, recipe.config
    configured = spec.reading.threshold if settings.refit_threshold else None
    encoded = encoded_rows(job.data, "validation", spec, settings.memory_mb)

    def validate() -> Standing:
        if configured is not None:
            return best_standing(
                scored(classifier, validation, spec, policy.base_attributes, encoded=encoded),
                policy,
                aim=settings.aim,
                configured=configured,
            )
        counts = count(classifier, validation, spec, policy.base_attributes, encoded=encoded)
        return standing(counts, policy, aim=settings.aim)

    keep_best = settings.keep == "best" or (settings.keep == "auto" and bool(recipe.methods))
    trained = train(
        classifier,
        rows,
        recipe,
        seed=job.config.seed,
        checkpoint=checkpoint,
        progress=job.progress,
        validate=validate if keep_best else None,
        engine=engine,
    )
    job.progress.stage("validating")
    refitted: dict[str, Any] = {}
    if configured is None:
        counts = count(classifier, validation, spec, policy.base_attributes, encoded=encoded)
    else:
        scores = scored(classifier, validation, spec, policy.base_attributes, encoded=encoded)
        chosen, tried = points(scores, policy, aim=settings.aim, configured=configured)
        counts = scores.counts(chosen.threshold)
        refitted = {
            "threshold": chosen.threshold,
            "points": [{"threshold": point.threshold, **point.merit.to_json()} for point in tried],
        }
    return {
        **refitted,
        "loss": trained.losses,
        "kept_epoch": trained.kept,
        "epochs": [item.to_json() for item in trained.standings],
        "notes": list(trained.notes),
        "threads": torch.get_num_threads(),
        "standing": standing(counts, policy, aim=settings.aim).to_json(),
        "aims": [item.to_json() for item in aims(counts, policy, aim=settings.aim)],
        "validation": counts.to_json(),
    }


def count(
    classifier: Classifier,
    rows: TableRows,
    spec: ModelSpec,
    attributes: tuple[str, ...],
    *,
    encoded: EncodedRows | None = None,
) -> GroupCounts:
    """Decisions of the torch model on some rows, counted by group and label.

    Args:
        encoded: the rows as graph inputs, where they are asked for again and again.
    """
    return GroupCounts.from_rows(
        {name: rows.sensitive[name] for name in attributes},
        label=rows.label,
        decision=_answers(classifier, rows, spec, encoded)[0].numpy(),
        classes=spec.classes,
    )


def scored(
    classifier: Classifier,
    rows: TableRows,
    spec: ModelSpec,
    attributes: tuple[str, ...],
    *,
    encoded: EncodedRows | None = None,
) -> Scored:
    """Scores of a torch model with two classes on some rows; `encoded` as in `count`."""
    from edgefair.workflow.training.operating_point import Scored

    return Scored(_answers(classifier, rows, spec, encoded)[1][:, 1].numpy(), rows, attributes, spec.classes)


@timed("deciding rows in torch")
def _answers(
    classifier: Classifier, rows: TableRows, spec: ModelSpec, encoded: EncodedRows | None
) -> tuple[Tensor, Tensor]:
    """Decisions int64 [rows] and probabilities float32 [rows, classes] of the model as it would be exported."""
    import torch

    from edgefair.training.classifier import Deployable
    from edgefair.training.rows import on_device

    encoded = encoded or EncodedRows(rows, spec, row_bytes=0)
    deployable = Deployable(classifier, spec).eval()
    device = next(classifier.parameters()).device
    batch_rows = rows.batch_rows(spec, ENCODE_ROWS) * (GPU_BATCHES if device.type == "cuda" else 1)
    found = []
    with torch.no_grad(), closing(encoded.batches(np.arange(len(rows)), batch_rows)) as batches:
        for batch in batches:
            inputs = on_device(tuple(torch.from_numpy(batch[item.name]) for item in spec.inputs), device)
            found.append(deployable(*inputs))
    decisions, scores = zip(*found, strict=True)
    return torch.cat(decisions).cpu(), torch.cat(scores).cpu()


def encoded_rows(data: DataSet, split: Role, spec: ModelSpec, memory_mb: int) -> EncodedRows:
    """Rows of a split as graph inputs, held where those of training and validation fit into so much memory together."""
    rows = sum(len(data.splits[name]) for name in ("train", "validation") if name in data.splits)
    return EncodedRows(data.splits[split], spec, row_bytes=memory_mb * 2**20 / max(1, rows))


@timed("encoding the training rows")
def training_rows(
    data: DataSet, spec: ModelSpec, attributes: tuple[str, ...], *, memory_mb: int = 0, learn: Preprocess | None = None
) -> TrainingRows:
    """The rows of a table encoded once and held in memory, and pictures and texts too where they fit.

    Args:
        memory_mb: what training and validation rows may take as pictures and tokens; others are made for every batch.
        learn: takes the scaling of the table's numbers from these rows.
    """
    import torch

    from edgefair.debias import Cells
    from edgefair.training.rows import TrainingRows

    group, groups = joint_groups(data.train.sensitive, attributes)
    cells = Cells(
        torch.from_numpy(group), torch.from_numpy(data.train.label), tuple(map(group_name, groups)), data.classes
    )
    names = [item.name for item in spec.inputs]
    if any(item.picture is not None or item.tokens is not None for item in spec.inputs):
        return TrainingRows.made(encoded_rows(data, "train", spec, memory_mb), names, cells)

    encoded = list(data.train.inputs(spec, ENCODE_ROWS))
    inputs = tuple(torch.cat([torch.from_numpy(batch[name]) for batch in encoded]) for name in names)
    if learn is not None:
        learn.fit(*inputs)
    return TrainingRows.held(inputs, cells)
