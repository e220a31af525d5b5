"""The training loop: epochs, resumption, and which epoch is kept."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import torch
from torch import Tensor

from edgefair.debias import Debias
from edgefair.errors import DataError
from edgefair.progress import Progress, timed
from edgefair.training.checkpoint import Checkpoint, Learning, Progressed
from edgefair.training.classifier import Classifier
from edgefair.training.distill import Distill, Lesson
from edgefair.training.engine import CPU, Engine
from edgefair.training.epoch.arithmetic import Arithmetic, open_optimizer, trainable
from edgefair.training.epoch.schedule import Schedule
from edgefair.training.networks.batch_norms import statistics_of_last_batch
from edgefair.training.passes.decided import compare, right_rows
from edgefair.training.passes.statistics import frozen_statistics
from edgefair.training.rows import TrainingRows
from edgefair.training.selection import Standing
from edgefair.training.settings import TrainConfig, TrainPlan
from edgefair.training.step import set_gradients

# Judges the classifier as it is on validation rows.
Validate = Callable[[], Standing]

# An epoch whose loss is this many times that of knowing nothing, ln(classes), has diverged.
DIVERGED = 3.0
# Steps from one look at the loss to the next: a GPU would stand still after every one.
LOOK = 16
# Lines of one training in a log.
TOLD = 10


class DivergedError(DataError):
    """Training diverged before any epoch could be kept."""


@dataclass(frozen=True)
class Trained:
    """What training gave, beside the weights.

    Attributes:
        losses: mean loss of each epoch.
        standings: the classifier on validation rows after each epoch; empty where the last epoch is kept unseen.
        kept: the epoch whose weights were kept, from 1.
        notes: what a reader must know: training that diverged, cells of a handful of rows, statistics of one batch.
    """

    losses: list[float]
    standings: list[Standing] = field(default_factory=list)
    kept: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingRecipe:
    """How to train.

    Attributes:
        methods: debias methods, in the order in which they change a step.
        teacher: adds its terms to the loss.
        reference: the model before compression, where this is a training after it.
    """

    config: TrainConfig
    methods: Sequence[Debias] = ()
    teacher: Distill | None = None
    reference: Classifier | None = None


def train(
    classifier: Classifier,
    rows: TrainingRows,
    recipe: TrainingRecipe,
    *,
    seed: int,
    checkpoint: Checkpoint,
    progress: Progress,
    validate: Validate | None = None,
    engine: Engine | None = None,
) -> Trained:
    """Train in place, on the engine's device; every network is on the CPU before and after, also after an error.

    A checkpoint is written after every epoch, and training goes on from the last one. The order of the rows in an
    epoch depends on (seed, epoch) alone, so a resumed run ends with the weights of an uninterrupted one.

    Args:
        validate: judges every epoch; the best one is kept (`selection.Standing.rank`). Without it the last one is.
        engine: where the steps run; default: this process, on `recipe.config.device`.

    Raises:
        DataError: rows that a method cannot be used on.
        DivergedError: training diverged before any epoch could be kept.
        ModelError: a teacher that cannot teach this classifier.
    """
    engine = engine or Engine(recipe.config.device)
    taught_by = [] if recipe.teacher is None else [recipe.teacher.teacher]
    with checkpoint, engine.lent(classifier, *taught_by):
        return _train(classifier, rows, recipe, seed, checkpoint, progress, validate, engine)


def _train(
    classifier: Classifier, rows: TrainingRows, recipe: TrainingRecipe, seed: int, checkpoint: Checkpoint,
    progress: Progress, validate: Validate | None, engine: Engine,
) -> Trained:  # fmt: skip
    """`train`, with the networks on the engine's device."""
    plan, methods, teacher = recipe.config.for_rows(len(rows)), recipe.methods, recipe.teacher
    if teacher is not None:
        teacher.start(classifier, rows.cells)
    for method in methods:
        method.start(rows.cells)
    compare(methods, recipe.reference, rows, plan, engine)
    parameters = trainable(classifier)
    optimizer = open_optimizer(parameters, plan, engine.device)
    arithmetic = Arithmetic(classifier.network, plan, engine.device)
    placed: list[Debias | Distill] = [*methods, *([] if teacher is None else [teacher])]
    learning: list[Learning] = [*placed, arithmetic]
    progressed = checkpoint.restore(classifier, optimizer, learning)
    for item in placed:
        item.to(engine.device)
    _identify(classifier, rows, methods, plan, seed=seed, progress=progress, engine=engine)
    schedule = Schedule.of(rows, methods, plan, engine)
    epochs = _Epochs(classifier, rows, methods, plan, optimizer, schedule, seed, engine, progress, arithmetic, teacher)
    notes = [_few_rows(name, count, methods) for name, count in rows.cells.few() if methods]
    if said := statistics_of_last_batch(classifier.network):
        notes.append(said)
    if progressed.losses:
        progress.stage(f"going on after epoch {len(progressed.losses)}/{plan.epochs}")
    while (epoch := len(progressed.losses)) < plan.epochs and not _out_of_patience(progressed, plan):
        with timed("epochs"):
            mean = epochs.run(epoch)
        if not mean <= DIVERGED * math.log(len(rows.cells.classes)) or not all(map(_finite, parameters)):
            if progressed.best is None:
                raise DivergedError(
                    f"training diverged in epoch {epoch + 1}: its loss is {mean:.4g}",
                    expected=f"a loss of at most {DIVERGED * math.log(len(rows.cells.classes)):.2f}",
                    fix="lower train.learning_rate, or the strength of the debias method (alpha, eta, dual_lr)",
                )
            notes.append(
                f"training diverged in epoch {epoch + 1} (loss {mean:.4g}) and was stopped; the weights of epoch "
                f"{progressed.kept} are kept"
            )
            break
        progressed.losses.append(mean)
        engine.agree(classifier)
        with timed("validating"):
            found = None if validate is None else validate()
        progressed.judge(classifier, found)
        if _is_told(epoch + 1, plan.epochs):
            progress.stage(f"epoch {epoch + 1}/{plan.epochs}: loss {mean:.4g}{'' if found is None else found.said}")
        if engine.main:
            with timed("saving the checkpoint"):
                checkpoint.save(progressed, classifier, optimizer, learning)
    engine.wait()
    for item in placed:
        item.to(CPU)
    if progressed.best is not None:
        classifier.load_state_dict(progressed.best)
    return Trained(progressed.losses, progressed.standings, progressed.kept, tuple(notes))


def _is_told(epoch: int, epochs: int) -> bool:
    """Whether a log has a line of the epoch: of many epochs the last one of every tenth."""
    return epochs <= TOLD or epoch * TOLD // epochs > (epoch - 1) * TOLD // epochs


def _out_of_patience(progressed: Progressed, config: TrainPlan) -> bool:
    """Whether the best epoch is so long ago that training ends early."""
    waited = len(progressed.standings) - progressed.kept
    return config.patience is not None and bool(progressed.standings) and waited >= config.patience


@dataclass(frozen=True)
class _Epochs:
    """Passes of one network over the rows."""

    classifier: Classifier
    rows: TrainingRows
    methods: Sequence[Debias]
    plan: TrainPlan
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    seed: int
    engine: Engine
    progress: Progress
    arithmetic: Arithmetic
    teacher: Distill | None = None

    def run(self, epoch: int) -> float:
        """One pass; the mean loss, not finite where it broke off."""
        plan, engine, cells, methods, arithmetic = (
            self.plan, self.engine, self.rows.cells, self.methods, self.arithmetic
        )  # fmt: skip
        torch.manual_seed(self.seed * 1_000_003 + epoch)
        order = self.schedule.order()
        torch.manual_seed(self.seed * 1_000_003 + epoch + 500_009 * engine.rank)
        order, labels, groups = (x.to(engine.device) for x in (order, cells.label, cells.group))
        weights = None if self.schedule.weights is None else self.schedule.weights.to(engine.device)
        parameters = trainable(self.classifier)
        steps = -(-self.schedule.used // plan.batch_rows)
        batches = self.rows.batches(engine.part(order, plan.batch_rows), plan.batch_rows // engine.processes)
        self.classifier.train()
        losses: list[Tensor] = []
        with closing(batches):
            pieces = zip(torch.split(order, plan.batch_rows), batches, strict=True)
            for step, (index, inputs) in enumerate(pieces, start=epoch * steps):
                for group in self.optimizer.param_groups:
                    group["lr"] = plan.learning_rate * _triangle(step / (steps * plan.epochs))
                features = self.classifier.preprocess(*inputs)
                for method in methods:
                    mine = index.chunk(engine.processes)[engine.rank]
                    features = method.augment(features, labels[mine], groups[mine])
                logits, lesson = self._logits(arithmetic.laid(features), inputs)
                loss = set_gradients(
                    parameters,
                    engine.whole(logits),
                    label=labels[index],
                    group=groups[index],
                    weights=None if weights is None else weights[index],
                    methods=methods,
                    engine=engine,
                    scaled=arithmetic.scaled,
                    lesson=lesson,
                    again=functools.partial(self._again, features),
                )
                losses.append(loss)
                if step % LOOK == 0 and not math.isfinite(loss):
                    break
                arithmetic.step(self.optimizer)
                for method in methods:
                    method.end_step()
                self.progress.step(step + 1, steps * plan.epochs, f"epoch {epoch + 1}/{plan.epochs}")
        counts = [plan.batch_rows] * (len(losses) - 1) + [len(index)]
        means: list[float] = torch.stack(losses).tolist()
        return sum(mean * count for mean, count in zip(means, counts, strict=True)) / sum(counts)

    def _logits(self, features: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Lesson | None]:
        """FP32 logits of this process's part of a batch, and what a teacher says of the whole."""
        with self.arithmetic.passing():
            if self.teacher is None:
                return self.arithmetic.forward(features).float(), None
            # Who watches a layer has to find it: a compiled network has none.
            student = self.classifier.network if self.teacher.watches else self.arithmetic.forward
            logits, lesson = self.teacher.lesson(student, features, inputs, self.engine)
            return logits.float(), lesson

    def _again(self, features: Tensor) -> Tensor:
        """The logits of the whole batch, once more; what normalizations have learned of it stays as it was."""
        with frozen_statistics(self.classifier.network), self.arithmetic.passing():
            return self.engine.whole(self.classifier.network(self.arithmetic.laid(features)).float())


def _identify(
    classifier: Classifier,
    rows: TrainingRows,
    methods: Sequence[Debias],
    config: TrainPlan,
    *,
    seed: int,
    progress: Progress,
    engine: Engine,
) -> None:
    """Train a copy in the ordinary way for the methods that want to know which rows it then decides wrongly."""
    for method in methods:
        if method.identify_epochs == 0:
            continue
        short = config.model_copy(update={"epochs": method.identify_epochs})
        other = copy.deepcopy(classifier)
        optimizer = open_optimizer(trainable(other), config, engine.device)
        schedule = Schedule.of(rows, [], short, engine)
        arithmetic = Arithmetic(other.network, short, engine.device)
        epochs = _Epochs(other, rows, [], short, optimizer, schedule, seed, engine, progress, arithmetic)
        for epoch in range(short.epochs):
            epochs.run(epoch)
        engine.agree(other)
        method.learn_errors(~right_rows(other, rows, config, engine))


def _triangle(done: float) -> float:
    """Learning rate over its peak at a share of the steps: up for the first fifth, then down to 0."""
    return (done + 0.01) / 0.21 if done < 0.2 else (1.0 - done) / 0.8


def _finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())


def _few_rows(name: str, count: int, methods: Sequence[Debias]) -> str:
    said = "; ".join(f"{type(method).__name__}: {method.few_rows}" for method in methods)
    return f"{name}: {count} training rows. {said}"
