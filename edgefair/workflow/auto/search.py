"""Find a treatment, a budget and a threshold that keep every gate on validation rows, resumably."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.debias.recipes import RECIPES
from edgefair.errors import DataError, UsageError
from edgefair.files import sha256_json, write_atomic
from edgefair.progress import Progress, silent
from edgefair.training.settings import MethodConfig
from edgefair.workflow.auto.reach import reach_of
from edgefair.workflow.job import Job
from edgefair.workflow.models.runs import hold_run
from edgefair.workflow.sealing.seal import check_not_sealed
from edgefair.workflow.train import train_on
from edgefair.workflow.training.encoded_once import encoded_once
from edgefair.workflow.training.searched import search_digest
from edgefair.workflow.training.torch_here import require_torch

if TYPE_CHECKING:
    from edgefair.training.run import Run

# After all recipes were tried with a budget, the best KEEP of them go on with GROWTH times as many epochs, and of those
# the best one with as many again, as long as more training brings more.
GROWTH, KEEP, RUNGS = 3, 3, 3


@dataclass(frozen=True, eq=False)
class _Trial:
    """One treatment with one budget."""

    recipe: str
    epochs: int
    run: Run

    @property
    def gates(self) -> list[dict[str, Any]]:
        """At the threshold that was chosen for it."""
        metrics = self.run.metrics
        gates: list[dict[str, Any]] = next(
            point["gates"] for point in metrics["points"] if point["threshold"] == metrics["threshold"]
        )
        return gates

    @property
    def rank(self) -> float:
        """Larger is better (`decision.choosing.merit.Merit.rank`)."""
        metrics = self.run.metrics
        return max(float(point["rank"]) for point in metrics["points"])

    def to_json(self) -> dict[str, Any]:
        metrics = self.run.metrics
        return {
            "recipe": self.recipe,
            "epochs": self.epochs,
            "threshold": metrics["threshold"],
            "run": self.run.folder.name,
            "rank": self.rank,
            "gates": self.gates,
            "balanced_accuracy": metrics["standing"]["balanced_accuracy"],
        }


def auto(config: Config, *, name: str, overwrite: bool = False, progress: Progress = silent) -> Run:
    """Try treatments (`debias.recipes`), budgets and thresholds, and make the best of them runs/NAME.

    The first budget is that of the number of rows (`training.budget`), or train.epochs. Nothing is treated where the
    untreated model passes every gate on the validation rows alone. The best is chosen by every gate of decisions of the
    policy, floors among them (`decision.choosing.merit`); the run says of every gate how far it came. Only training and
    validation rows are read. Every trial is a run below runs/NAME/trials: an interrupted search goes on with the trial,
    and the epoch, at which it stopped.

    Raises:
        UsageError: PyTorch is missing; methods are configured, which a search would replace; a run of that name has
            other settings, or is trained by another command.
        DataError: rows that cannot be trained on, other than two classes, or what stands in the way of every trial.
    """
    require_torch()
    from edgefair.training.run import load_run

    if config.debias.train:
        raise UsageError(
            f"--auto chooses the treatment, and {', '.join(item.method for item in config.debias.train)} is configured",
            fix="omit --debias and debias.train, or omit --auto (--tune searches the options of chosen methods)",
        )
    progress.stage("reading")
    data = encoded_once(load(config.data, base=config.base, roles=("train", "validation")), "train", "validation")
    check_not_sealed(config, data)
    if len(data.classes) != 2:
        raise DataError(
            f"--auto chooses a threshold, and there are {len(data.classes)} classes",
            expected="two classes",
            fix="name methods (--debias), and search their options with --tune",
        )
    folder = config.run_path(name)
    of = search_digest(config, data)
    with hold_run(folder, progress):
        if overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        if (folder / "run.json").exists():
            found = load_run(folder)
            if found.settings.get("auto") == of:
                return found
            raise UsageError(
                f"'{folder}' holds a finished run with other settings",
                fix="choose another --name, or replace it with --overwrite",
            )
        trials = _search(config, data, folder / "trials", progress)
        return _keep(trials, folder, of)


def _search(config: Config, data: DataSet, place: Path, progress: Progress) -> list[_Trial]:
    """All trials, in their order.

    Raises:
        DataError: what stands in the way of every one.
    """
    found: list[_Trial] = []
    refused: DataError | None = None
    epochs = config.train.for_rows(len(data.train)).epochs
    names: Sequence[str] = list(RECIPES)
    for rung in range(RUNGS):
        before = max((trial.rank for trial in found), default=-math.inf)
        new = []
        for recipe in names:
            try:
                trial = _tried(config, data, place, recipe, epochs * GROWTH**rung, progress)
            except DataError as error:  # it diverged, or the rows do not suit a method
                progress.stage(f"{recipe}: {error.found}")
                refused = error
                continue
            new.append(trial)
            if recipe == "plain" and rung == 0 and all(gate["shown"] for gate in trial.gates):
                return [trial]
        found += new
        if not found and refused is not None:
            raise refused
        if max((trial.rank for trial in new), default=-math.inf) <= before:
            break
        best = sorted(new, key=lambda trial: -trial.rank)
        names = [trial.recipe for trial in best[: KEEP if rung == 0 else 1]]
    return found


def _tried(config: Config, data: DataSet, place: Path, recipe: str, epochs: int, progress: Progress) -> _Trial:
    """One trial.

    Raises:
        DataError: it diverged, or the rows do not suit a method.
    """
    methods = tuple(MethodConfig(method=method, options=dict(options)) for method, options in RECIPES[recipe])
    chosen = config.model_copy(
        update={
            "runs": place,
            "train": config.train.model_copy(update={"epochs": epochs, "keep": "best", "refit_threshold": True}),
            "debias": config.debias.model_copy(update={"train": methods}),
        }
    )

    def moved(done: int, total: int, what: str) -> None:
        if total:  # a log has one line of each trial: what it came to
            progress.step(done, total, f"{recipe}: {what}")

    run = train_on(Job(chosen, data, Progress(moved)), name=sha256_json([recipe, epochs])[:12])
    trial = _Trial(recipe, epochs, run)
    progress.stage(f"{recipe}, {epochs} epochs: {_said(trial)}")
    return trial


def _said(trial: _Trial) -> str:
    missed = [
        f"{gate['gate']} {gate['estimate']:.4f} misses {gate['goal']:.4g}" for gate in trial.gates if not gate["kept"]
    ]
    accuracy = trial.run.metrics["standing"]["balanced_accuracy"]
    return f"balanced accuracy {accuracy:.4f}, {', '.join(missed) or 'every gate kept'}"


def _keep(trials: Sequence[_Trial], folder: Path, of: str) -> Run:
    """Copy the best trial's weights and say how far all of them came."""
    best = max(trials, key=lambda trial: trial.rank)
    points = [point["gates"] for trial in trials for point in trial.run.metrics["points"]]
    metrics = {key: value for key, value in best.run.metrics.items() if key != "points"}
    run = replace(
        best.run,
        folder=folder,
        settings={**best.run.settings, "auto": of},
        metrics={
            **metrics,
            "auto": {
                "chosen": best.recipe,
                "trials": [trial.to_json() for trial in trials],
                "reach": [item.to_json() for item in reach_of(points, best.gates)],
            },
        },
    )
    write_atomic(run.weights, best.run.weights.read_bytes())
    run.save(best.run.seen)
    return run
