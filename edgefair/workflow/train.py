"""Train a network into a run folder."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.errors import UsageError
from edgefair.files import sha256_json
from edgefair.measure.counts import GroupCounts
from edgefair.workflow.progress import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor

    from edgefair.data.rows import TableRows
    from edgefair.probe.spec import ModelSpec
    from edgefair.training.classifier import Classifier
    from edgefair.training.loop import TrainingRows
    from edgefair.training.run import Run

ENCODE_ROWS = 8192


def train(config: Config, *, name: str, overwrite: bool = False, progress: Progress = silent) -> Run:
    """Train the configured network, with the configured treatments, into runs/NAME.

    An interrupted run with the same settings goes on after its last whole epoch; a finished one is returned as it is.

    Args:
        name: name of the run.
        overwrite: replace a run of that name that has other settings.

    Raises:
        UsageError: a run of that name has other settings; an unknown network or method.
        DataError: rows that cannot be trained on.
    """
    from edgefair.debias import open_methods
    from edgefair.training.build import build_classifier
    from edgefair.training.checkpoint import Checkpoint, save_weights
    from edgefair.training.engine import open_engine
    from edgefair.training.features import spec_for
    from edgefair.training.loop import train as fit
    from edgefair.training.run import WEIGHTS, Run
    from edgefair.training.selection import Standing, standing

    methods = open_methods([(item.method, item.options) for item in config.debias.train])
    engine = open_engine()
    progress(0, 0, "reading")
    data = load(config.data, base=config.base, roles=("train", "validation"))
    settings = _settings(config, data)
    folder = config.run_path(name)
    finished = _prepare(folder, settings, overwrite=overwrite and engine.main)
    engine.wait()
    if finished is not None:
        return finished

    spec = spec_for(data, config.model)
    classifier = build_classifier(spec, config.model, data.array_shapes(), seed=config.seed)
    rows = _training_rows(data, spec, config.policy.base_attributes, classifier)
    checkpoint = Checkpoint(folder / "checkpoint.safetensors", sha256_json(settings))
    attributes = config.policy.base_attributes

    def validate() -> Standing:
        counts = torch_counts(classifier, data.validation, spec, attributes)
        return standing(counts, config.policy, aim=config.train.aim)

    keep_best = config.train.keep == "best" or (config.train.keep == "auto" and bool(methods))
    trained = fit(
        classifier,
        rows,
        methods,
        config.train,
        seed=config.seed,
        checkpoint=checkpoint,
        progress=progress,
        validate=validate if keep_best else None,
        engine=engine,
    )
    progress(0, 0, "validating")
    classifier.cpu()
    metrics: dict[str, Any] = {
        "loss": trained.losses,
        "kept_epoch": trained.kept,
        "epochs": [item.to_json() for item in trained.standings],
        "notes": list(trained.notes),
        "standing": validate().to_json(),
        "validation": torch_counts(classifier, data.validation, spec, attributes).to_json(),
    }
    run = Run(folder, spec, config.model, data.array_shapes(), settings, metrics)
    if engine.main:
        save_weights(classifier, folder / WEIGHTS)
        run.save()
        checkpoint.path.unlink(missing_ok=True)
    engine.wait()
    return run


def torch_counts(classifier: Classifier, rows: TableRows, spec: ModelSpec, attributes: tuple[str, ...]) -> GroupCounts:
    """Decisions of the torch model on some rows, counted by group and label."""
    import torch

    from edgefair.training.classifier import Deployable

    deployable = Deployable(classifier, spec).eval()
    device = next(classifier.parameters()).device
    with torch.no_grad():
        decisions = [
            deployable(*(torch.from_numpy(batch[item.name]).to(device) for item in spec.inputs))[0].cpu()
            for batch in rows.inputs(spec, rows.batch_rows(spec, ENCODE_ROWS))
        ]
    return GroupCounts.from_rows(
        {name: rows.sensitive[name] for name in attributes},
        label=rows.label,
        decision=torch.cat(decisions).numpy(),
        classes=spec.classes,
    )


def _settings(config: Config, data: DataSet) -> dict[str, Any]:
    """Everything that decides the weights."""
    return {
        "model": config.model.model_dump(mode="json"),
        "train": config.train.model_dump(mode="json"),
        "debias": [item.model_dump(mode="json") for item in config.debias.train],
        "selection": config.policy.digest,
        "attributes": list(config.policy.base_attributes),
        "seed": config.seed,
        "train_rows": data.train.fingerprint,
        "validation_rows": data.validation.fingerprint,
        "features": list(data.features),
        "torch": importlib.metadata.version("torch"),
    }


def _prepare(folder: Path, settings: dict[str, Any], *, overwrite: bool) -> Run | None:
    """Make the run's folder; the run itself where it is finished already."""
    from edgefair.training.run import load_run

    if overwrite:
        shutil.rmtree(folder, ignore_errors=True)
    if (folder / "run.json").exists():
        run = load_run(folder)
        if run.settings == settings:
            return run
        changed = [key for key in settings if run.settings.get(key) != settings[key]]
        raise UsageError(
            f"'{folder}' holds a finished run with other settings ({', '.join(changed)})",
            fix="choose another --name, or replace it with --overwrite",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write the run to '{folder}': {error.strerror}", fix="change `runs:`") from error
    return None


def _training_rows(data: DataSet, spec: ModelSpec, attributes: tuple[str, ...], classifier: Classifier) -> TrainingRows:
    """The rows of a table encoded once and held in memory, from which the preprocessing learns its scaling; pictures
    and texts made anew for every batch.
    """
    import torch

    from edgefair.debias import Cells
    from edgefair.training.loop import TrainingRows

    group, groups = joint_groups(data.train.sensitive, attributes)
    cells = Cells(torch.from_numpy(group), torch.from_numpy(data.train.label), groups, data.classes)
    names = [item.name for item in spec.inputs]
    if any(item.picture is not None or item.tokens is not None for item in spec.inputs):

        def made(order: Tensor, batch_rows: int) -> Iterator[tuple[Tensor, ...]]:
            for batch in data.train.take(order.numpy()).inputs(spec, batch_rows):
                yield tuple(torch.from_numpy(batch[name]) for name in names)

        return TrainingRows(made, cells)

    encoded = list(data.train.inputs(spec, ENCODE_ROWS))
    inputs = tuple(torch.cat([torch.from_numpy(batch[name]) for batch in encoded]) for name in names)
    classifier.preprocess.fit(*inputs)
    return TrainingRows.held(inputs, cells)
