"""Search the settings of a training run, resumably; the best run on the validation rows is kept."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.config import Config
from edgefair.data.dataset import load
from edgefair.debias import open_method
from edgefair.errors import UsageError, missing_extra
from edgefair.files import sha256_json, write_atomic
from edgefair.progress import Progress, silent
from edgefair.workflow.job import Job
from edgefair.workflow.models.runs import hold_run
from edgefair.workflow.sealing.seal import check_not_sealed
from edgefair.workflow.train import train_on
from edgefair.workflow.training.encoded_once import encoded_once
from edgefair.workflow.training.searched import search_digest

if TYPE_CHECKING:
    import optuna

    from edgefair.training.run import Run

# Searched on a logarithmic scale: the learning rate within this factor of the configured one, and the weight decay.
RATE_FACTOR = 4.0
WEIGHT_DECAY = (1e-5, 1e-1)
# What a trial that diverged is worth: less than any that did not.
DIVERGED = -1.0


def tune(config: Config, *, name: str, trials: int, overwrite: bool = False, progress: Progress = silent) -> Run:
    """Train `trials` times with other settings and make the best of them runs/NAME.

    The best is the one with most balanced accuracy subject to the policy's gap and floors on the validation rows
    (`training.selection.Standing.rank`), never the one with the smallest gap. The first trial has the configured
    settings, so the result is never worse than without a search. Options that the config names are not searched.
    Optuna's TPE sampler proposes; its journal and every trial's run are kept below runs/NAME/trials, so that an
    interrupted search resumes with the trial, and the epoch, at which it stopped. More trials extend a search. Other
    rows make another search.

    Raises:
        UsageError: Optuna is missing, a run of that name has other settings or is trained by another command, or an
            unknown method.
        DataError: rows that cannot be trained on, or every trial diverged.
    """
    try:
        import optuna
        import torch  # noqa: F401
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        from edgefair.training.run import load_run
    except ImportError as error:
        raise missing_extra("--tune", "tune", error) from error

    optuna.logging.set_verbosity(logging.WARNING)
    progress.stage("reading")
    data = encoded_once(load(config.data, base=config.base, roles=("train", "validation")), "train", "validation")
    check_not_sealed(config, data)
    folder = config.run_path(name)
    with hold_run(folder, progress):
        if overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        of = search_digest(config, data)
        searched = {"tune": trials, "of": of}
        if (folder / "run.json").exists():
            found = load_run(folder)
            before = found.settings.get("search", {})
            if before == searched:
                return found
            if before.get("of") != of:
                raise UsageError(
                    f"'{folder}' holds a finished run with other settings",
                    fix="choose another --name, or replace it with --overwrite",
                )
        place = folder / "trials"
        place.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            study_name=of,
            storage=JournalStorage(JournalFileBackend(str(_recovered(place / "study.journal")))),
            direction="maximize",
            load_if_exists=True,
        )
        _take_up(study, config)
        _search(study, Job(config, data, progress), place, trials)
        return _keep(study, folder, searched)


def _search(study: optuna.Study, job: Job, place: Path, trials: int) -> None:
    """Train until there are so many trials.

    Raises:
        DataError: every trial diverged.
    """
    import optuna

    from edgefair.training.loop import DivergedError

    config, diverged = job.config, None
    while (number := len(_done(study))) < trials:
        study.sampler = optuna.samplers.TPESampler(seed=config.seed + number, n_startup_trials=5)
        trial = study.ask()
        chosen = _chosen(config, trial, place)
        own = Job(chosen, job.data, _within(job.progress, number, trials))
        try:
            run = train_on(own, name=sha256_json(trial.params)[:12])
        except DivergedError as error:
            diverged = error
            study.tell(trial, DIVERGED)
            continue
        trial.set_user_attr("run", run.folder.name)
        study.tell(trial, run.metrics["standing"]["rank"])
    if diverged is not None and study.best_value == DIVERGED:
        raise diverged


def _recovered(journal: Path) -> Path:
    """The journal without what a killed search may have left: half a line, after which no other is read, and a lock."""
    for left in journal.parent.glob(f"{journal.name}.lock*"):
        left.unlink()
    if journal.exists():
        content = journal.read_bytes()
        os.truncate(journal, content.rfind(b"\n") + 1)
    return journal


def _within(progress: Progress, number: int, trials: int) -> Progress:
    """Progress of one trial as a part of the whole search."""
    return Progress(
        lambda done, total, what: progress.step(done + number * total, total * trials, f"trial {number + 1}: {what}")
    )


def _done(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in study.trials if trial.value is not None]


def _take_up(study: optuna.Study, config: Config) -> None:
    """The configured settings come first, and a trial that was killed comes again with what it had drawn."""
    import optuna

    if not study.trials:
        study.enqueue_trial({option: configured for option, (configured, _) in _space(config).items()})
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _space(config: Config) -> dict[str, tuple[float, tuple[float, float]]]:
    """What is searched: name -> configured value and range."""
    rate, decay = config.train.learning_rate, config.train.weight_decay
    found = {"learning_rate": (rate, (rate / RATE_FACTOR, rate * RATE_FACTOR))}
    if decay > 0:
        found["weight_decay"] = (decay, (min(decay, WEIGHT_DECAY[0]), max(decay, WEIGHT_DECAY[1])))
    for item in config.debias.train:
        method = open_method(item.method, item.options)
        for option, span in method.search.items():
            if option not in item.options:
                found[f"{item.method}.{option}"] = (getattr(method, option), span)
    return found


def _chosen(config: Config, trial: optuna.Trial, place: Path) -> Config:
    """The config with a trial's settings."""
    drawn = {option: trial.suggest_float(option, *span, log=True) for option, (_, span) in _space(config).items()}
    rates = {option: value for option, value in drawn.items() if "." not in option}
    methods = []
    for item in config.debias.train:
        own = {
            option.removeprefix(f"{item.method}."): value
            for option, value in drawn.items()
            if option.startswith(f"{item.method}.")
        }
        methods.append(item.model_copy(update={"options": {**item.options, **own}}))
    return config.model_copy(
        update={
            "runs": place,
            "train": config.train.model_copy(update={**rates, "keep": "best"}),
            "debias": config.debias.model_copy(update={"train": tuple(methods)}),
        }
    )


def _keep(study: optuna.Study, folder: Path, searched: dict[str, Any]) -> Run:
    """Copy the best trial's weights and say what all of them gave."""
    from edgefair.training.run import load_run

    best = load_run(folder / "trials" / study.best_trial.user_attrs["run"])
    table = [
        {"settings": trial.params, "run": trial.user_attrs.get("run"), "value": trial.value} for trial in _done(study)
    ]
    run = replace(
        best,
        folder=folder,
        settings={**best.settings, "search": searched},
        metrics={**best.metrics, "trials": table, "chosen": study.best_params},
    )
    write_atomic(run.weights, best.weights.read_bytes())
    run.save(best.seen)
    return run
