"""Train a network into a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.config import Config, with_budget
from edgefair.data.dataset import DataSet, load
from edgefair.data.gaps import missing_notes
from edgefair.data.identity.seen import SeenRows, columns_of
from edgefair.errors import DataError
from edgefair.files import sha256_json
from edgefair.progress import Progress, silent
from edgefair.versions import version_of
from edgefair.workflow.job import Job
from edgefair.workflow.models.runs import hold_run
from edgefair.workflow.sealing.seal import check_not_sealed
from edgefair.workflow.training.encoded_once import encoded_once
from edgefair.workflow.training.fit import fit, training_rows
from edgefair.workflow.training.run_folder import prepare_folder
from edgefair.workflow.training.torch_here import device_of, require_torch

if TYPE_CHECKING:
    from edgefair.debias import Debias
    from edgefair.training.engine import Engine
    from edgefair.training.run import Run


def train(config: Config, *, name: str, overwrite: bool = False, progress: Progress = silent) -> Run:
    """Train the configured network, with the configured treatments, into runs/NAME.

    An interrupted run with the same settings resumes from its last completed epoch; a finished one is returned as is.
    Where a launcher has started several processes, they share every batch and the first one writes. No other command
    may train into the folder at the same time.

    Args:
        name: name of the run.
        overwrite: replace a run of that name that has other settings.

    Raises:
        UsageError: PyTorch is missing; a run of that name has other settings, or is trained by another command; an
            unknown network or method.
        DataError: rows that cannot be trained on.
    """
    _methods(config)
    progress.stage("reading")
    data = load(config.data, base=config.base, roles=("train", "validation"))
    check_not_sealed(config, data)
    return train_on(Job(config, data, progress), name=name, overwrite=overwrite)


def train_on(job: Job, *, name: str, overwrite: bool = False, wait: bool = False) -> Run:
    """`train` on rows that are at hand already.

    Args:
        wait: for another command that trains this run, instead of giving up.

    Raises:
        UsageError, DataError: see `train`.
    """
    methods = _methods(job.config)
    from edgefair.training.engine import open_engine

    # Every epoch may be judged by the validation rows.
    data, progress = encoded_once(job.data, "validation"), job.progress
    if job.config.train.refit_threshold and len(data.classes) != 2:
        raise DataError(
            f"train.refit_threshold chooses a threshold, and there are {len(data.classes)} classes",
            expected="two classes",
            fix="omit it",
        )
    config = with_budget(job.config, len(data.train))
    engine = open_engine(config.train.device)
    settings = _settings(config, data, engine)
    folder = config.run_path(name)
    with hold_run(folder, progress, wait=wait) if engine.main else nullcontext():
        if not engine.main:
            engine.wait()  # until the first process has prepared the folder
        finished = prepare_folder(folder, settings, overwrite=overwrite and engine.main)
        if engine.main:
            engine.wait()
        if finished is not None:
            progress.stage(f"{name} is trained with these settings already")
            return finished
        progress.stage(f"training {name}")
        return _train_into(folder, Job(config, data, progress), methods, settings, engine)


def _methods(config: Config) -> Sequence[Debias]:
    """The treatments of the training, which need PyTorch as training does."""
    require_torch()
    from edgefair.debias import open_methods

    return open_methods([(item.method, item.options) for item in config.debias.train])


def _train_into(folder: Path, job: Job, methods: Sequence[Debias], settings: dict[str, Any], engine: Engine) -> Run:
    from edgefair.training.budget import underfitting
    from edgefair.training.build import build_classifier
    from edgefair.training.checkpoint import Checkpoint, save_weights
    from edgefair.training.features import rare_values, spec_for
    from edgefair.training.loop import TrainingRecipe
    from edgefair.training.run import Run

    config, data = job.config, job.data
    spec = spec_for(data, config.model)
    classifier = build_classifier(spec, config.model, data.array_shapes(), seed=config.seed)
    checkpoint = Checkpoint(folder / "checkpoint.safetensors", sha256_json(settings))
    metrics = fit(
        job,
        spec,
        classifier,
        TrainingRecipe(config.train, methods),
        rows=training_rows(
            data,
            spec,
            config.policy.base_attributes,
            memory_mb=config.train.memory_mb,
            learn=classifier.preprocess,
        ),
        checkpoint=checkpoint,
        engine=engine,
    )
    plan = config.train.for_rows(len(data.train))
    metrics["notes"] += underfitting(
        metrics["loss"],
        rows=len(data.train),
        batch_rows=plan.batch_rows,
        balanced_accuracy=metrics["standing"]["balanced_accuracy"],
        classes=len(spec.classes),
    )
    metrics["notes"] += data.poorer
    metrics["notes"] += rare_values(spec, data.train)
    metrics["notes"] += [f"training rows: {note}" for note in missing_notes(data.train, spec)]
    model = config.model
    if (threshold := metrics.get("threshold")) is not None:
        model = model.model_copy(update={"threshold": threshold})
        spec = replace(spec, reading=replace(spec.reading, threshold=threshold))
    run = Run(folder, spec, model, data.array_shapes(), settings, metrics)
    if engine.main:
        save_weights(classifier, run.weights)
        run.save([SeenRows.of([data.train, data.validation], columns_of(spec))])
        checkpoint.path.unlink(missing_ok=True)
    engine.wait()
    return run


def _settings(config: Config, data: DataSet, engine: Engine) -> dict[str, Any]:
    """Everything that decides the weights."""
    return {
        "model": config.model.model_dump(mode="json"),
        "train": config.train.deciding,
        "debias": [item.model_dump(mode="json") for item in config.debias.train],
        "selection": config.policy.digest,
        "attributes": list(config.policy.base_attributes),
        "seed": config.seed,
        "train_rows": data.train.fingerprint,
        "validation_rows": data.validation.fingerprint,
        "features": list(data.features),
        "missing": config.data.missing,
        **({"purity": config.data.purity.settings} if config.data.purity.settings else {}),
        "torch": version_of("torch"),
        **device_of(engine),
    }
