"""One stage of training, of a whole network or of a pruned one: the rows, the loop, and what to say of the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgefair.data.dataset import DataSet
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

    def validate() -> Standing:
        if configured is not None:
            return best_standing(
                scored(classifier, validation, spec, policy.base_attributes),
                policy,
                aim=settings.aim,
                configured=configured,
            )
        return standing(count(classifier, validation, spec, policy.base_attributes), policy, aim=settings.aim)

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
    classifier.cpu()
    refitted: dict[str, Any] = {}
    if configured is None:
        counts = count(classifier, validation, spec, policy.base_attributes)
    else:
        scores = scored(classifier, validation, spec, policy.base_attributes)
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


def count(classifier: Classifier, rows: TableRows, spec: ModelSpec, attributes: tuple[str, ...]) -> GroupCounts:
    """Decisions of the torch model on some rows, counted by group and label."""
    return GroupCounts.from_rows(
        {name: rows.sensitive[name] for name in attributes},
        label=rows.label,
        decision=_answers(classifier, rows, spec)[0].numpy(),
        classes=spec.classes,
    )


def scored(classifier: Classifier, rows: TableRows, spec: ModelSpec, attributes: tuple[str, ...]) -> Scored:
    """Scores of a torch model with two classes on some rows."""
    from edgefair.workflow.training.operating_point import Scored

    return Scored(_answers(classifier, rows, spec)[1][:, 1].numpy(), rows, attributes, spec.classes)


@timed("deciding rows in torch")
def _answers(classifier: Classifier, rows: TableRows, spec: ModelSpec) -> tuple[Tensor, Tensor]:
    """Decisions int64 [rows] and probabilities float32 [rows, classes] of the model as it would be exported."""
    import torch

    from edgefair.training.classifier import Deployable

    deployable = Deployable(classifier, spec).eval()
    device = next(classifier.parameters()).device
    with torch.no_grad():
        found = [
            tuple(x.cpu() for x in deployable(*(torch.from_numpy(batch[item.name]).to(device) for item in spec.inputs)))
            for batch in rows.inputs(spec, rows.batch_rows(spec, ENCODE_ROWS))
        ]
    decisions, scores = zip(*found, strict=True)
    return torch.cat(decisions), torch.cat(scores)


@timed("encoding the training rows")
def training_rows(
    data: DataSet, spec: ModelSpec, attributes: tuple[str, ...], *, learn: Preprocess | None = None
) -> TrainingRows:
    """The rows of a table encoded once and held in memory; pictures and texts made anew for every batch.

    Args:
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

        def made(order: Tensor, batch_rows: int) -> Iterator[tuple[Tensor, ...]]:
            for batch in data.train.take(order.numpy()).inputs(spec, batch_rows):
                yield tuple(torch.from_numpy(batch[name]) for name in names)

        return TrainingRows(made, cells)

    encoded = list(data.train.inputs(spec, ENCODE_ROWS))
    inputs = tuple(torch.cat([torch.from_numpy(batch[name]) for batch in encoded]) for name in names)
    if learn is not None:
        learn.fit(*inputs)
    return TrainingRows.held(inputs, cells)
