"""`edgefair train`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import config_options, json_option, overrides
from edgefair.cli.progress import progress_bar
from edgefair.debias import METHODS


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
@click.option("--overwrite", is_flag=True, help="Replace a run of that name that has other settings.")
@json_option
@config_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    debias: tuple[str, ...],
    name: str | None,
    seed: int | None,
    epochs: int | None,
    overwrite: bool,
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
) -> None:
    """Train (and debias) a network into runs/NAME.

    An interrupted run goes on after its last whole epoch when the command is given again.

    \b
    Examples:
      edgefair train --name plain
      edgefair train --debias reweigh --debias eo-penalty --name fair
    """
    from edgefair.config import load_config
    from edgefair.report.training import print_run
    from edgefair.workflow.train import train

    flags = overrides(settings, debias__train=list(debias) or None, seed=seed, train__epochs=epochs)
    config = load_config(config_path, flags)
    methods = "+".join(item.method for item in config.debias.train) or "plain"
    with progress_bar() as progress:
        run = train(config, name=name or methods, overwrite=overwrite, progress=progress)
    print_run(run, as_json=as_json)
    ctx.exit(0)
