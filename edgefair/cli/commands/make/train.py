"""`edgefair train`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from edgefair.cli.config_flags import key_flag
from edgefair.cli.options import config_options, overrides, result_options
from edgefair.cli.progress import progress_bar
from edgefair.cli.say import say_next
from edgefair.debias import METHODS
from edgefair.errors import EdgefairError
from edgefair.training.settings import TrainConfig


@click.command("train")
@click.option(
    "--debias",
    multiple=True,
    metavar="METHOD",
    help=f"Debiasing method: none, {', '.join(METHODS)}. Repeat it to combine methods. Overrides debias.train.",
)
@click.option("--name", default=None, help="Name of the run.  [default: the methods, joined by '+', or 'plain']")
@click.option("--seed", type=click.IntRange(min=0), default=None, help="Overrides the config's seed.")
@click.option("--epochs", type=click.IntRange(min=1), default=None, help="Overrides train.epochs.")
@key_flag(TrainConfig, "train__device")
@click.option(
    "--auto",
    "search_all",
    is_flag=True,
    help="Choose the treatment, the training budget and the threshold that keep every gate of the policy on the "
    "validation rows, and say how close each gate came. Nothing else needs to be set.",
)
@click.option(
    "--tune",
    type=click.IntRange(min=1),
    default=None,
    metavar="TRIALS",
    help="Search learning rate, weight decay and the options of the methods in this many trials (Optuna); the best one "
    "on the validation rows becomes the run.",
)
@click.option(
    "--launcher",
    type=click.Choice(["accelerate"]),
    default=None,
    help="Share every batch between several processes: one per GPU, or on CPU.",
)
@click.option(
    "--processes", type=click.IntRange(min=2), default=None, help="For --launcher.  [default: one per GPU, else 2]"
)
@click.option("--overwrite", is_flag=True, help="Replace an existing run of that name with other settings.")
@result_options
@config_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    debias: tuple[str, ...],
    name: str | None,
    seed: int | None,
    epochs: int | None,
    train__device: str | None,
    search_all: bool,
    tune: int | None,
    launcher: str | None,
    processes: int | None,
    overwrite: bool,
    formats: tuple[str, ...],
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
) -> None:
    """Train (and debias) a network into runs/NAME.

    Re-run the command to resume an interrupted run from the last completed epoch. Where methods are used, the
    epoch with the best balanced accuracy subject to the policy's gap and floors on the validation rows is kept.

    \b
    Examples:
      edgefair train --auto
      edgefair train --name plain
      edgefair train --debias reweigh --debias eo-penalty --name fair
      edgefair train --debias adversarial --tune 20
      edgefair train --launcher accelerate --processes 2
    """
    if processes is not None and launcher is None:
        raise click.UsageError("--processes needs --launcher accelerate")
    searched = {"--auto": search_all, "--tune": tune is not None}
    asked = [flag for flag, given in {**searched, "--launcher": launcher is not None}.items() if given]
    if len(asked) > 1:
        raise click.UsageError(
            f"{' and '.join(asked)} cannot be combined: there is one search at a time, in one process; train what it "
            "finds in several processes"
        )
    from edgefair.config import load_config
    from edgefair.report.output import outputs_of, write_result
    from edgefair.report.results.training import TRAINED_SCHEMA, Trained
    from edgefair.workflow.auto.search import auto
    from edgefair.workflow.train import train
    from edgefair.workflow.training.launch import is_first_process, launch
    from edgefair.workflow.tune import tune as search

    outputs = outputs_of(formats, as_json=as_json, schemas=[TRAINED_SCHEMA])
    chosen = {"train__epochs": epochs, "train__device": train__device}
    flags = overrides(settings, debias__train=list(debias) or None, seed=seed, **chosen)
    config = load_config(config_path, flags)
    if launcher is not None and "RANK" not in os.environ:
        ctx.exit(launch(ctx.obj, processes, config.train.device))
    run_name = (
        name or ("auto" if search_all else "") or "+".join(item.method for item in config.debias.train) or "plain"
    )
    try:
        with progress_bar() as progress:
            if search_all:
                run = auto(config, name=run_name, overwrite=overwrite, progress=progress)
            elif tune is None:
                run = train(config, name=run_name, overwrite=overwrite, progress=progress)
            else:
                run = search(config, name=run_name, trials=tune, overwrite=overwrite, progress=progress)
    except EdgefairError as error:
        if is_first_process():
            raise
        ctx.exit(error.exit_code)
    if is_first_process():
        write_result(Trained.of(run), outputs)
        say_next(config_path, f"export --int8 --run {shlex.quote(run_name)}")
    ctx.exit(0)
