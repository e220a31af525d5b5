"""Prune a trained network and train what is left, with the treatment that the dense one had."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.errors import DataError, UsageError
from edgefair.files import sha256_file, sha256_json
from edgefair.training.settings import MethodConfig
from edgefair.workflow.fit import fit, training_rows
from edgefair.workflow.progress import Progress
from edgefair.workflow.train import prepare_folder

if TYPE_CHECKING:
    from edgefair.training.classifier import Classifier
    from edgefair.training.run import Run


def finetune_methods(config: Config, run: Run) -> tuple[tuple[MethodConfig, ...], str | None]:
    """The methods of the fine-tune, by default those of the run; and a warning where they leave the run's out."""
    trained = tuple(MethodConfig.model_validate(item) for item in run.settings["debias"])
    if config.debias.finetune is None:
        return trained, None
    chosen = config.debias.finetune
    if trained and not chosen:
        return chosen, (
            f"the fine-tune after pruning is plain, though the run was trained with "
            f"{' + '.join(item.method for item in trained)}: a plain fine-tune throws most of that fairness away; "
            "leave debias.finetune out to keep the treatment"
        )
    return chosen, None


def check_prune(config: Config, model: str | None) -> None:
    """Refuse what cannot work before hours are spent.

    Args:
        model: what is exported instead of a run.

    Raises:
        UsageError: pruning of a model that is no run, or an unknown or conflicting method of the fine-tune.
    """
    if model is not None:
        raise UsageError(
            f"'{model}' cannot be pruned: what is left must be trained again, and only a training run can be",
            fix="train it with `edgefair train` (model.network: package.module:factory takes your network)",
        )
    from edgefair.debias import open_methods

    open_methods([(item.method, item.options) for item in config.debias.finetune or ()])


def export_pruned(
    config: Config, data: DataSet, name: str, to: Path, *, ratio: float, progress: Progress
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write the run's network, pruned and fine-tuned, as ONNX; what was done, for the manifest; and notes.

    Raises:
        UsageError, DataError, ModelError: nothing was written.
    """
    from edgefair.exporters.torch_module import export_classifier
    from edgefair.training.run import load_run

    run = load_run(config.run_path(name))
    classifier, made, notes = pruned_classifier(config, data, run, ratio=ratio, progress=progress)
    progress(0, 0, "exporting to ONNX")
    export_classifier(classifier, run.spec, run.array_shapes, to)
    return made, notes


def pruned_classifier(
    config: Config, data: DataSet, run: Run, *, ratio: float, progress: Progress
) -> tuple[Classifier, dict[str, Any], tuple[str, ...]]:
    """The run's network, pruned as `compress:` says and fine-tuned; what was done; and notes.

    The result lies in a folder of its own below the run's. An interrupted fine-tune goes on after its last whole
    epoch, and a finished one is read.

    Raises:
        UsageError, DataError, ModelError: nothing was trained.
    """
    import torch

    from edgefair.compress.prune import prune
    from edgefair.debias import open_methods
    from edgefair.training.build import load_classifier
    from edgefair.training.checkpoint import Checkpoint, load_weights, save_weights
    from edgefair.training.engine import Engine
    from edgefair.training.run import Run

    chosen, warning = finetune_methods(config, run)
    methods = open_methods([(item.method, item.options) for item in chosen])
    if run.settings["train_rows"] != data.train.fingerprint:
        raise DataError(
            "the training rows have changed since the run was trained",
            expected="the rows of the run, for the fine-tune after pruning",
            fix="train it anew",
        )
    settings = {
        "of": sha256_file(run.weights),
        "prune": ratio,
        "scope": config.compress.scope,
        "finetune": config.finetune_settings.model_dump(mode="json"),
        "debias": [item.model_dump(mode="json") for item in chosen],
        "selection": config.policy.digest,
        "seed": config.seed,
        "train_rows": data.train.fingerprint,
        "validation_rows": data.validation.fingerprint,
        "torch": run.settings["torch"],
    }
    digest = sha256_json(settings)
    folder = run.folder / f"prune-{ratio:g}-{config.compress.scope}-{digest[:12]}"
    finished = prepare_folder(folder, settings)
    classifier = load_classifier(run)
    progress(0, 0, "pruning")
    example = torch.zeros(1, *classifier.preprocess.features)
    done = prune(classifier.network, example, ratio=ratio, scope=config.compress.scope)
    if finished is None:
        checkpoint = Checkpoint(folder / "checkpoint.safetensors", digest)
        metrics = fit(
            config,
            data,
            run.spec,
            classifier,
            methods,
            config.finetune_settings,
            rows=training_rows(data, run.spec, config.policy.base_attributes),
            checkpoint=checkpoint,
            engine=Engine(),
            progress=progress,
        )
        finished = Run(folder, run.spec, run.model, run.array_shapes, settings, metrics)
        save_weights(classifier, finished.weights)
        finished.save()
        checkpoint.path.unlink(missing_ok=True)
    load_weights(finished.weights, classifier)
    made = {
        **settings,
        "macs": list(done.macs),
        "parameters": list(done.parameters),
        "standing": finished.metrics["standing"],
        "kept_epoch": finished.metrics["kept_epoch"],
    }
    notes = (
        f"pruned {config.compress.scope}ly to {done.macs[1] / done.macs[0]:.0%} of the multiply-accumulate operations "
        f"and {done.parameters[1] / done.parameters[0]:.0%} of the parameters; fine-tuned with "
        f"{' + '.join(item.method for item in chosen) or 'no debiasing'}",
        *finished.metrics["notes"],
        *([] if warning is None else [warning]),
    )
    return classifier.eval(), made, notes
