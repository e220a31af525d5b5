"""Train a network into a run folder."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.data.seen import SeenRows, columns_of
from edgefair.errors import UsageError
from edgefair.files import sha256_json
from edgefair.workflow.fit import fit, training_rows
from edgefair.workflow.progress import Progress, silent

if TYPE_CHECKING:
    from edgefair.training.run import Run


def train(config: Config, *, name: str, overwrite: bool = False, progress: Progress = silent) -> Run:
    """Train the configured network, with the configured treatments, into runs/NAME.

    An interrupted run with the same settings goes on after its last whole epoch; a finished one is returned as it is.
    Where a launcher has started several processes, they share every batch and the first one writes.

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
    from edgefair.training.run import Run

    methods = open_methods([(item.method, item.options) for item in config.debias.train])
    engine = open_engine()
    progress(0, 0, "reading")
    data = load(config.data, base=config.base, roles=("train", "validation"))
    settings = _settings(config, data)
    folder = config.run_path(name)
    finished = prepare_folder(folder, settings, overwrite=overwrite and engine.main)
    engine.wait()
    if finished is not None:
        return finished

    spec = spec_for(data, config.model)
    classifier = build_classifier(spec, config.model, data.array_shapes(), seed=config.seed)
    checkpoint = Checkpoint(folder / "checkpoint.safetensors", sha256_json(settings))
    progress(0, 0, f"training {name}")
    metrics = fit(
        config,
        data,
        spec,
        classifier,
        methods,
        config.train,
        rows=training_rows(data, spec, config.policy.base_attributes, learn=classifier.preprocess),
        checkpoint=checkpoint,
        engine=engine,
        progress=progress,
    )
    run = Run(folder, spec, config.model, data.array_shapes(), settings, metrics)
    if engine.main:
        save_weights(classifier, run.weights)
        run.save([SeenRows.of([data.train, data.validation], columns_of(spec))])
        checkpoint.path.unlink(missing_ok=True)
    engine.wait()
    return run


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


def prepare_folder(folder: Path, settings: dict[str, Any], *, overwrite: bool = False) -> Run | None:
    """Make a run's folder; the run itself where it is finished already.

    Raises:
        UsageError: a finished run with other settings, or a folder that cannot be made.
    """
    from edgefair.training.run import load_run

    if overwrite:
        shutil.rmtree(folder, ignore_errors=True)
    if (folder / "run.json").exists():
        run = load_run(folder)
        if run.settings == settings:
            return run
        changed = [key for key in {**settings, **run.settings} if run.settings.get(key) != settings.get(key)]
        raise UsageError(
            f"'{folder}' holds a finished run with other settings ({', '.join(changed)})",
            fix="choose another --name, or replace it with --overwrite",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write the run to '{folder}': {error.strerror}", fix="change `runs:`") from error
    return None
