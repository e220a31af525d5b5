"""The torch stages of a recipe, in order, and the teacher and the student of a distillation."""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgefair.compress.config import PRUNED, STEPS, CompressConfig, DistillConfig
from edgefair.compress.names import step_name
from edgefair.compress.steps.base import Project, Stage, Step
from edgefair.config import Config
from edgefair.files import sha256_file
from edgefair.targets import load_profile
from edgefair.training.settings import ModelConfig
from edgefair.workflow.compression.recipes import recipe_of
from edgefair.workflow.models.runs import choose_run

if TYPE_CHECKING:
    from edgefair.training.classifier import Classifier
    from edgefair.training.distill import Distill
    from edgefair.training.run import Run

# The stage that trains another network, and no step of `STEPS`.
STUDENT = "student"


def stages(config: Config, compress: CompressConfig, *, reduce_range: bool = False) -> Iterator[Stage]:
    """The stages of a recipe, in order.

    Args:
        reduce_range: whether INT8 weights will have 7 bits.

    Raises:
        UsageError: a step that the project cannot have.
    """
    taught = compress.distill is not None
    if compress.distill is not None and compress.distill.student != PRUNED:
        # The bundle is read at the run's threshold.
        yield Stage(STUDENT, {}, None, config.train.model_copy(update={"refit_threshold": False}), taught=True)
        taught = False
    project = Project(
        config.finetune_settings,
        config.targets[0],
        load_profile(config.targets[0]).latency.measured,
        functools.partial(recipe_of, config, compress.calibration),
        reduce_range,
    )
    for key in compress.steps:
        step: type[Step] = pkgutil.resolve_name(STEPS[key])
        for stage in step.from_config(compress, project):
            yield replace(stage, taught=taught)


def trained_again(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The stages in a bundle's settings, each of which gave the file other weights."""
    return tuple(name for name in (STUDENT, *map(step_name, STEPS)) if name in settings)


def teacher_of(config: Config, distill: DistillConfig, run: Run) -> Distill:
    """The teacher, checked against what it shall teach.

    Raises:
        UsageError: no such run.
        ModelError: other classes or other inputs.
    """
    from edgefair.training.build import load_classifier
    from edgefair.training.distill import Distill, check_teacher
    from edgefair.training.run import load_run

    teacher = load_run(config.run_path(choose_run(config, distill.teacher)))
    check_teacher(teacher.spec, run.spec)
    return Distill(
        load_classifier(teacher),
        temperature=distill.temperature,
        weight=distill.weight,
        mfd_weight=distill.mfd_weight if distill.method == "mfd" else 0.0,
        dro_eta=distill.dro_eta if distill.method == "dro" else 0.0,
    )


def teacher_digest(config: Config, distill: DistillConfig | None) -> str | None:
    """SHA-256 of the teacher's weights, as another run may get its name; None without a teacher.

    Raises:
        UsageError: no such run.
    """
    if distill is None:
        return None
    from edgefair.training.run import load_run

    return sha256_file(load_run(config.run_path(choose_run(config, distill.teacher))).weights)


def student_of(config: Config, distill: DistillConfig, run: Run, of: Classifier) -> Classifier:
    """An untrained student that preprocesses as the run's network does."""
    from edgefair.training.networks.narrower import narrower

    if isinstance(distill.student, str):
        model = run.model.model_copy(update={"network": distill.student, "options": distill.options})
    else:
        options = narrower(run.model.network, run.model.options, distill.student) | distill.options
        model = run.model.model_copy(update={"options": options})
    return untrained(config, model, run, of)


def untrained(config: Config, model: ModelConfig, run: Run, of: Classifier) -> Classifier:
    """A network with the random weights of the config's seed that preprocesses as the run's network does."""
    from edgefair.training.build import build_classifier

    classifier = build_classifier(run.spec, model, run.array_shapes, seed=config.seed)
    classifier.preprocess.load_state_dict(of.preprocess.state_dict())
    return classifier


def said_of(stage: Stage, done: Mapping[str, Any], original: Mapping[str, float]) -> tuple[str, ...]:
    """One stage in words; nothing of one that goes on.

    Args:
        done: what the manifest says of it.
        original: see `Step.describe`.
    """
    if stage.goes_on:
        return ()
    described = ("a student was trained",) if stage.step is None else stage.step.describe(done["plan"], original)
    treated = " + ".join(item["method"] for item in done["debias"]) or "no debiasing"
    taught = f", taught by {done['distill']['teacher']}" if done["distill"] else ""
    trained = f"trained with {treated}{taught}" if stage.train is not None else "no weight was trained"
    return (f"{described[0]}; {trained}", *described[1:])
