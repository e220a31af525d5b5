"""Compress a trained network in torch, step by step, and train what is left with the treatment that it had."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgefair.compress.config import PRUNED, CompressConfig
from edgefair.compress.games import AdversaryConfig
from edgefair.compress.steps.base import Learned
from edgefair.config import Config, with_budget
from edgefair.errors import DataError, UsageError
from edgefair.files import sha256_file
from edgefair.training.settings import MethodConfig
from edgefair.workflow.compression.run_step import Work
from edgefair.workflow.compression.steps import stages, student_of, teacher_of
from edgefair.workflow.job import Job

if TYPE_CHECKING:
    from edgefair.training.classifier import Classifier
    from edgefair.training.run import Run


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A network after all steps.

    Attributes:
        made: step -> what was done, for the manifest.
        notes: what a reader must know.
        digest: equal for networks that were made in the same way from the same weights.
        ranges: parameter name -> range of its layer's input, where training simulated INT8.
    """

    classifier: Classifier
    digest: str
    made: dict[str, Any]
    notes: tuple[str, ...]
    ranges: dict[str, Learned] = field(default_factory=dict)


def finetune_methods(config: Config, run: Run, compress: CompressConfig) -> tuple[tuple[MethodConfig, ...], str | None]:
    """The methods of the fine-tune, by default those of the run, and a warning where they leave the run's out.

    An adversary that took part in choosing channels stays, by default: a plain fine-tune would undo what it chose.
    """
    trained = tuple(MethodConfig.model_validate(item) for item in run.settings["debias"])
    if config.debias.finetune is None:
        return (*trained, *_opponent(compress, trained)), None
    chosen = config.debias.finetune
    if trained and not chosen:
        return chosen, (
            f"the fine-tune after compression is plain, though the run was trained with "
            f"{' + '.join(item.method for item in trained)}: a plain fine-tune loses most of that fairness; "
            "omit debias.finetune to keep the debiasing"
        )
    return chosen, None


def _opponent(compress: CompressConfig, trained: tuple[MethodConfig, ...]) -> Iterator[MethodConfig]:
    """The adversary of the channels' game, which goes on in the fine-tune, where the run has none of its own."""
    game = compress.adversary or AdversaryConfig()
    played = compress.prune is not None and compress.importance == "adversarial" and game.weight > 0
    if played and all(item.method != "adversarial" for item in trained):
        options = {"alpha": game.weight, "form": "reversal", "target": game.target}
        yield MethodConfig(method="adversarial", options=options)


def check_shrink(config: Config, model: str | None, name: str | None) -> None:
    """Refuse what cannot work before hours are spent.

    Args:
        model: what is exported instead of a run.
        name: the run that is exported.

    Raises:
        UsageError: steps on a model that is not a run, a method of the fine-tune that is unknown or conflicts,
            a first target without a clock where pruning shall reach a latency.
        ModelError: a network that a step cannot be done on, a split that saves nothing, a teacher that does not fit.
    """
    from edgefair.debias import open_methods
    from edgefair.training.build import load_classifier
    from edgefair.training.run import load_run

    if model is not None:
        raise UsageError(
            f"'{model}' cannot be pruned, split, clustered or distilled: the result needs more training, and "
            "only a training run can be trained",
            fix="train it with `edgefair train` (model.network: package.module:factory takes your network)",
        )
    open_methods([(item.method, item.options) for item in config.debias.finetune or ()])
    compress = config.compress
    planned = tuple(stages(config, compress))
    if config.debias.finetune and all(stage.train is None for stage in planned):
        raise UsageError(
            f"debias.finetune names {config.debias.finetune[0].method}, and "
            f"{'ticket' if compress.ticket else f'importance {compress.importance}'} leaves the weights unchanged: "
            "there is no fine-tune",
            fix="omit debias.finetune, or use importance adversarial",
        )
    if name is None:
        return
    run = load_run(config.run_path(name))
    classifier = load_classifier(run)
    distill = compress.distill
    if distill is not None:
        teacher_of(config, distill, run)
        if distill.student != PRUNED:
            classifier = student_of(config, distill, run, classifier)
    for number, stage in enumerate(planned):
        if stage.step is None:
            continue
        stage.step.check(classifier)
        if number == 0:
            # Behind another stage the weights will be others.
            stage.step.check_weights(classifier)


def shrink(job: Job, run: Run, *, compress: CompressConfig, reduce_range: bool) -> Shrunk:
    """Carry out the torch steps of `compress:` on a run's network.

    Every step has a folder below the run's. An interrupted fine-tune resumes from its last completed epoch, and what is
    finished is read: what a step decided lies in `plan.json`.

    Args:
        compress: the recipe, instead of the config's.
        reduce_range: whether INT8 weights will have 7 bits.

    Raises:
        UsageError, DataError, ModelError: nothing was trained.
    """
    from edgefair.debias import open_methods
    from edgefair.training.build import load_classifier

    config, data = with_budget(job.config, len(job.data.train)), job.data
    chosen, warning = finetune_methods(config, run, compress)
    open_methods([(item.method, item.options) for item in chosen])
    if run.settings["train_rows"] != data.train.fingerprint:
        raise DataError(
            "the training rows have changed since the run was trained",
            expected="the rows of the run, for the fine-tune after compression",
            fix="retrain it",
        )
    work = Work(replace(job, config=config, data=data), run, chosen, compress)
    classifier = load_classifier(run)
    previous = sha256_file(run.weights)
    made: dict[str, Any] = {}
    notes: list[str] = []
    ranges: dict[str, Learned] = {}
    for stage in stages(config, compress, reduce_range=reduce_range):
        classifier, previous, ranges, made[stage.name] = work.carry_out(stage, classifier, previous)
        notes += made[stage.name].pop("notes")
    if warning is not None and any(item["finetune"] for item in made.values()):
        notes.append(warning)
    return Shrunk(classifier.eval(), previous, made, tuple(notes), ranges)
