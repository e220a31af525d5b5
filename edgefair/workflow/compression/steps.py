"""The torch steps of a recipe, in order, and the teacher and the student of a distillation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgefair.compress.config import FROZEN, PRUNED, CompressConfig, DistillConfig
from edgefair.config import Config
from edgefair.files import sha256_file
from edgefair.training.settings import ModelConfig, TrainConfig
from edgefair.workflow.compression.recipes import recipe_of
from edgefair.workflow.models.runs import choose_run

if TYPE_CHECKING:
    from edgefair.compress.steps.base import Step
    from edgefair.training.classifier import Classifier
    from edgefair.training.distill import Distill
    from edgefair.training.run import Run

# Layers that a note names at most.
WHOLE_NAMED = 5


@dataclass(frozen=True, eq=False)
class Stage:
    """One step and the training after it.

    Attributes:
        settings: everything that decides the step, JSON.
        step: makes it, from what the network cost before any pruning; None for a student, which is another network.
        train: None where the weights stay as they are.
        taught: whether the teacher takes part in the training.
        fresh: whether it begins with the network's random weights instead of the trained ones.
    """

    name: str
    settings: dict[str, Any]
    step: Callable[[float | None], Step] | None
    train: TrainConfig | None
    taught: bool
    fresh: bool = False


def stages(config: Config, compress: CompressConfig, *, reduce_range: bool = False) -> Iterator[Stage]:
    """The steps of a recipe, in order.

    Args:
        reduce_range: whether INT8 weights will have 7 bits.
    """
    tune = config.finetune_settings
    taught = compress.distill is not None
    if compress.distill is not None and compress.distill.student != PRUNED:
        yield Stage("student", {}, None, config.train, taught=True)
        taught = False
    if compress.prune is not None:
        options: dict[str, Any] = {
            "scope": compress.scope,
            "importance": compress.importance,
            "measure": compress.measure,
            "round_to": compress.round_to,
        }
        if compress.importance == "fairprune":
            options["beta"] = compress.beta
        timed_on = {"target": config.targets[0]} if compress.measure == "latency" else {}
        frozen = compress.importance == FROZEN
        for number in range(1, compress.rounds + 1):
            last = number == compress.rounds
            # Every round removes the same share of what is left.
            ratio = compress.prune if last else 1 - (1 - compress.prune) ** (number / compress.rounds)
            epochs = tune.epochs if last else max(1, tune.epochs // compress.rounds)
            yield Stage(
                "prune" if last else f"prune-{number}",
                {"ratio": ratio, **options, **timed_on},
                functools.partial(_prune, ratio, options),
                None if frozen else tune.model_copy(update={"epochs": epochs}),
                taught,
                fresh=frozen,
            )
    if compress.low_rank is not None:
        from edgefair.compress.steps.low_rank import LowRank

        rank, energy, tolerance = compress.low_rank, compress.energy, compress.tolerance
        yield Stage(
            "low-rank",
            {"rank": rank, "energy": energy, "tolerance": tolerance},
            lambda _: LowRank(rank, energy=energy, tolerance=tolerance),
            tune,
            taught,
        )
    if compress.sparsity is not None:
        from edgefair.compress.steps.sparsity import Sparsify

        zeros, scope = compress.sparsity, compress.scope
        yield Stage("sparsity", {"ratio": zeros, "scope": scope}, lambda _: Sparsify(zeros, scope=scope), tune, taught)
    if compress.cluster is not None:
        from edgefair.compress.steps.cluster import Cluster

        values = compress.cluster
        yield Stage("cluster", {"values": values}, lambda _: Cluster(values), tune, taught)
    if compress.qat:
        from edgefair.compress.steps.qat import Qat

        recipe = recipe_of(config, compress.calibration)
        yield Stage(
            "qat",
            {"recipe": recipe.model_dump(mode="json"), "reduce_range": reduce_range},
            lambda _: Qat(recipe, reduce_range=reduce_range),
            tune,
            taught,
        )


def _prune(ratio: float, options: dict[str, Any], of: float | None) -> Step:
    from edgefair.compress.steps.pruning.step import Prune

    return Prune(ratio, of=of, **options)


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
    if isinstance(distill.student, str):
        model = run.model.model_copy(update={"network": distill.student, "options": distill.options})
    else:
        options = _narrower(run.model, distill.student) | distill.options
        model = run.model.model_copy(update={"options": options})
    return untrained(config, model, run, of)


def untrained(config: Config, model: ModelConfig, run: Run, of: Classifier) -> Classifier:
    """A network with the random weights of the config's seed that preprocesses as the run's network does."""
    from edgefair.training.build import build_classifier

    classifier = build_classifier(run.spec, model, run.array_shapes, seed=config.seed)
    classifier.preprocess.load_state_dict(of.preprocess.state_dict())
    return classifier


def _narrower(model: ModelConfig, width: float) -> dict[str, Any]:
    """The options of the run's network at a share of its width."""
    if model.network == "mlp" and "hidden" in model.options:
        return {**model.options, "hidden": [max(1, round(width * size)) for size in model.options["hidden"]]}
    return {**model.options, "width": width * float(model.options.get("width", 1.0))}


def said_of(stage: Stage, done: dict[str, Any]) -> tuple[str, ...]:
    """One step in words; nothing of a round of pruning that others follow."""
    plan = done["plan"]
    treated = " + ".join(item["method"] for item in done["debias"]) or "no debiasing"
    taught = f", taught by {done['distill']['teacher']}" if done["distill"] else ""
    trained = f"trained with {treated}{taught}" if stage.train is not None else "no weight was trained"
    match stage.name:
        case "student":
            what = "a student was trained"
        case "prune":
            macs, parameters = (done[name][1] / done[name][0] for name in ("macs", "parameters"))
            what = "the network with random weights " if stage.fresh else ""
            what += (
                f"pruned {plan['scope']}ly by {plan['importance']} to {macs:.0%} of the multiply-accumulate operations "
                f"and {parameters:.0%} of the parameters"
            )
            if plan["whole"]:
                return (f"{what}; {trained}", _whole(plan["whole"]))
        case "low-rank":
            what = f"{len(plan['layers'])} layers split into thinner ones"
        case "sparsity":
            zeros = plan["zeros"] / plan["weights"]
            what = f"sparsity {zeros:.0%} of {plan['weights']:,} weights: zeros, no fewer operations, no speed"
        case "cluster":
            what = "weights in clusters (smaller when packed, no faster)"
        case "qat":
            what = "trained with INT8 simulated"
            if plan.get("whole"):
                named = _named(plan["whole"])
                return (
                    f"{what}; {trained}",
                    "not simulated in training, because the exported graph has other weights in their place (a layer "
                    f"used several times with a normalization behind it): {named}; INT8 calibrates them",
                )
        case _:
            return ()
    return (f"{what}; {trained}",)


def _whole(layers: Sequence[str]) -> str:
    """That layers could not lose channels."""
    return f"pruning left whole, because the forward pass expects all of their channels: {_named(layers)}"


def _named(layers: Sequence[str]) -> str:
    """The first layers by name, and how many more there are."""
    return ", ".join(layers[:WHOLE_NAMED]) + f" and {len(layers) - WHOLE_NAMED} more" * (len(layers) > WHOLE_NAMED)
