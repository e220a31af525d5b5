"""Compress a trained network in torch, step by step, and train what is left with the treatment that it had."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.compress.settings import PRUNED, CompressConfig
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.errors import DataError, UsageError
from edgefair.files import sha256_file, sha256_json, write_atomic
from edgefair.targets import load_profile
from edgefair.training.settings import MethodConfig
from edgefair.workflow.fit import fit, training_rows
from edgefair.workflow.progress import Progress
from edgefair.workflow.stages import Stage, said_of, stages, student_of, teacher_of
from edgefair.workflow.timing import median_ms
from edgefair.workflow.train import prepare_folder

if TYPE_CHECKING:
    from edgefair.compress.base import Plan
    from edgefair.compress.qat import Learned
    from edgefair.training.classifier import Classifier
    from edgefair.training.distill import Distill
    from edgefair.training.loop import TrainingRows
    from edgefair.training.run import Run

PLAN, START = "plan.json", "start.safetensors"


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A network after all steps.

    Attributes:
        made: step -> what was done, for the manifest.
        notes: what a reader must know.
        ranges: parameter name -> range of its layer's input, where training simulated INT8.
    """

    classifier: Classifier
    made: dict[str, Any]
    notes: tuple[str, ...]
    ranges: dict[str, Learned] = field(default_factory=dict)


def finetune_methods(config: Config, run: Run) -> tuple[tuple[MethodConfig, ...], str | None]:
    """The methods of the fine-tune, by default those of the run; and a warning where they leave the run's out."""
    trained = tuple(MethodConfig.model_validate(item) for item in run.settings["debias"])
    if config.debias.finetune is None:
        return trained, None
    chosen = config.debias.finetune
    if trained and not chosen:
        return chosen, (
            f"the fine-tune after compression is plain, though the run was trained with "
            f"{' + '.join(item.method for item in trained)}: a plain fine-tune throws most of that fairness away; "
            "leave debias.finetune out to keep the treatment"
        )
    return chosen, None


def check_shrink(config: Config, model: str | None, name: str | None) -> None:
    """Refuse what cannot work before hours are spent.

    Args:
        model: what is exported instead of a run.
        name: the run that is exported.

    Raises:
        UsageError: steps on a model that is no run, a method of the fine-tune that is unknown or conflicts.
        ModelError: a network that a step cannot be done on, a teacher that does not fit.
    """
    from edgefair.debias import open_methods
    from edgefair.training.build import load_classifier
    from edgefair.training.run import load_run

    if model is not None:
        raise UsageError(
            f"'{model}' cannot be pruned, split, clustered or taught: what is left must be trained again, and only a "
            "training run can be",
            fix="train it with `edgefair train` (model.network: package.module:factory takes your network)",
        )
    open_methods([(item.method, item.options) for item in config.debias.finetune or ()])
    if name is None:
        return
    run = load_run(config.run_path(name))
    classifier = load_classifier(run)
    distill = config.compress.distill
    if distill is not None:
        teacher_of(config, distill, run)
        if distill.student != PRUNED:
            classifier = student_of(config, distill, run, classifier)
    for stage in stages(config, config.compress):
        if stage.step is not None:
            stage.step(None).check(classifier)


def shrink(
    config: Config,
    data: DataSet,
    run: Run,
    *,
    compress: CompressConfig,
    reduce_range: bool,
    progress: Progress,
) -> Shrunk:
    """Carry out the torch steps of `compress:` on a run's network.

    Every step has a folder below the run's. An interrupted fine-tune goes on after its last whole epoch, and what is
    finished is read: what a step decided lies in `plan.json`.

    Args:
        compress: the recipe, instead of the config's.
        reduce_range: whether INT8 weights will have 7 bits.

    Raises:
        UsageError, DataError, ModelError: nothing was trained.
    """
    from edgefair.debias import open_methods
    from edgefair.training.build import load_classifier

    chosen, warning = finetune_methods(config, run)
    open_methods([(item.method, item.options) for item in chosen])
    if run.settings["train_rows"] != data.train.fingerprint:
        raise DataError(
            "the training rows have changed since the run was trained",
            expected="the rows of the run, for the fine-tune after compression",
            fix="train it anew",
        )
    work = _Work(config, data, run, chosen, compress, progress)
    classifier = load_classifier(run)
    previous = sha256_file(run.weights)
    made: dict[str, Any] = {}
    notes: list[str] = []
    ranges: dict[str, Learned] = {}
    for stage in stages(config, compress, reduce_range=reduce_range):
        classifier, previous, ranges, made[stage.name] = work.carry_out(stage, classifier, previous)
        notes += [*said_of(stage, made[stage.name]), *made[stage.name].pop("notes")]
    return Shrunk(classifier.eval(), made, (*notes, *([] if warning is None else [warning])), ranges)


class _Work:
    """Carries out stages of one recipe on one run."""

    def __init__(
        self,
        config: Config,
        data: DataSet,
        run: Run,
        chosen: tuple[MethodConfig, ...],
        compress: CompressConfig,
        progress: Progress,
    ) -> None:
        self.compress = compress
        self._config = config
        self._data = data
        self._run = run
        self._chosen = chosen
        self._progress = progress
        # Costs before any pruning.
        self._before: dict[str, float] = {}

    @functools.cached_property
    def _rows(self) -> TrainingRows:
        return training_rows(self._data, self._run.spec, self._config.policy.base_attributes)

    def carry_out(
        self, stage: Stage, classifier: Classifier, previous: str
    ) -> tuple[Classifier, str, dict[str, Learned], dict[str, Any]]:
        """The network after a stage, its digest, ranges learned by it, and what was done.

        Args:
            previous: digest of the network that the stage begins with.
        """
        from edgefair.debias import open_methods
        from edgefair.training.checkpoint import Checkpoint, load_weights, save_weights
        from edgefair.training.engine import Engine
        from edgefair.training.run import Run

        settings = self._settings(stage, previous)
        digest = sha256_json(settings)
        folder = self._run.folder / f"{stage.name}-{digest[:12]}"
        finished = prepare_folder(folder, settings)
        classifier, plan = self._decided(stage, classifier, folder)
        if finished is None:
            checkpoint = Checkpoint(folder / "checkpoint.safetensors", digest)
            metrics = fit(
                self._config,
                self._data,
                self._run.spec,
                classifier,
                open_methods([(item.method, item.options) for item in self._chosen]),
                stage.train,
                rows=self._rows,
                checkpoint=checkpoint,
                engine=Engine(),
                progress=self._progress,
                teacher=self._teacher(stage),
            )
            finished = Run(folder, self._run.spec, self._run.model, self._run.array_shapes, settings, metrics)
            save_weights(classifier, finished.weights)
            finished.save()
            checkpoint.path.unlink(missing_ok=True)
        load_weights(finished.weights, classifier)
        ranges = _plain(stage.name, classifier)
        record = {
            **settings,
            "plan": {name: value for name, value in plan.items() if name != "cut"},
            "standing": finished.metrics["standing"],
            "kept_epoch": finished.metrics["kept_epoch"],
            "notes": finished.metrics["notes"],
        }
        record |= {name: [before, plan["after"][name]] for name, before in self._before.items() if "after" in plan}
        return classifier, digest, ranges, record

    def _settings(self, stage: Stage, previous: str) -> dict[str, Any]:
        distill = self.compress.distill
        return {
            "of": previous,
            "step": stage.name,
            **stage.settings,
            "finetune": stage.train.model_dump(mode="json"),
            "debias": [item.model_dump(mode="json") for item in self._chosen],
            "distill": distill.model_dump(mode="json") if distill is not None and stage.taught else None,
            "selection": self._config.policy.digest,
            "seed": self._config.seed,
            "train_rows": self._data.train.fingerprint,
            "validation_rows": self._data.validation.fingerprint,
            "torch": self._run.settings["torch"],
        }

    def _decided(self, stage: Stage, classifier: Classifier, folder: Path) -> tuple[Classifier, Plan]:
        """The network as its training begins: what was decided before is read, not decided again."""
        from edgefair.compress.base import Context
        from edgefair.training.checkpoint import load_weights, save_weights

        if stage.step is None and self.compress.distill is not None:
            return student_of(self._config, self.compress.distill, self._run, classifier), {}
        step = stage.step(self._before.get(self.compress.measure))  # type: ignore[misc]
        if (folder / PLAN).exists():
            plan: Plan = json.loads((folder / PLAN).read_text())
            load_weights(folder / START, classifier)
        else:
            context = Context(self._rows, self._config.seed, self._progress, self._latency_ms)
            plan = step.plan(classifier, context)
            save_weights(classifier, folder / START)
            write_atomic(folder / PLAN, json.dumps(plan).encode())
        if "before" in plan:
            self._before = self._before or plan["before"]
        step.apply(classifier, plan)
        return classifier, plan

    def _teacher(self, stage: Stage) -> Distill | None:
        if self.compress.distill is None or not stage.taught:
            return None
        return teacher_of(self._config, self.compress.distill, self._run)

    @property
    def _latency_ms(self) -> Callable[[Classifier], float] | None:
        """Median milliseconds of a network on the first target; None where its clock says nothing."""
        from edgefair.exporters.torch_module import export_classifier

        profile = load_profile(self._config.targets[0])
        if not profile.latency.measured:
            return None

        def measured(classifier: Classifier) -> float:
            with tempfile.TemporaryDirectory(prefix="edgefair-timing-") as folder:
                path = Path(folder) / "model.onnx"
                export_classifier(classifier, self._run.spec, self._run.array_shapes, path)
                return median_ms(profile, path, self._data.validation, self._run.spec)

        return measured


def _plain(step: str, classifier: Classifier) -> dict[str, Learned]:
    """Make layers that a step trained in another form plain again; the ranges that they learned."""
    if step == "cluster":
        from edgefair.compress import cluster

        cluster.finish(classifier)
    if step == "qat":
        from edgefair.compress import qat

        return qat.finish(classifier)
    return {}
