"""`edgefair study run`, or `edgefair study PLAN`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import overrides, result_options
from edgefair.cli.progress import progress_bar
from edgefair.cli.say import say
from edgefair.study.executors import EXECUTORS


@click.command("run")
@click.argument("plan", required=False)
@click.option("--list", "lists", is_flag=True, help="List the plans that ship, and run nothing.")
@click.option("--dry-run", is_flag=True, help="Check the plan, count its cells and say what it can show; run nothing.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of the study; an unfinished study there is resumed.  [default: studies/NAME]",
)
@click.option(
    "--executor",
    type=click.Choice([*EXECUTORS]),
    default="serial",
    show_default=True,
    help="Where cells run: in this process, in several with a thread each, or on Ray.",
)
@click.option("--workers", type=click.IntRange(min=1), default=None, help="Cells at a time.  [default: one per core]")
@click.option("--address", default=None, help="With --executor ray: address of the cluster.  [default: this machine]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override any key of the project, or plan.KEY of the plan. Repeatable.",
)
@result_options
@click.pass_context
def run(
    ctx: click.Context,
    /,
    plan: str | None,
    lists: bool,
    dry_run: bool,
    output: Path | None,
    executor: str,
    workers: int | None,
    address: str | None,
    settings: tuple[str, ...],
    formats: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run PLAN, the name of a plan that ships or a .yaml file, and write its table.

    One row per cell, each saved as soon as it is there: a study that was stopped resumes where it was. Cells that
    fail are rows with their error. The exit code is no verdict: 0, unless nothing could be run (2) or no cell has
    numbers (4).

    \b
    Examples:
      edgefair study --list
      edgefair study run census-quick --executor processes
      edgefair study my-plan.yaml --dry-run
    """
    from edgefair.errors import EXIT_MEASUREMENT, UsageError
    from edgefair.report.output import outputs_of, write_result
    from edgefair.report.results.studies import FORESEEN_SCHEMA, RUN_SCHEMA, STUDIES_SCHEMA
    from edgefair.study.executors.base import Settings
    from edgefair.study.run.foreseen import foresee, shipped_studies
    from edgefair.study.run.given import open_plan
    from edgefair.study.run.study import run_study

    if lists:
        write_result(shipped_studies(), outputs_of(formats, as_json=as_json, schemas=[STUDIES_SCHEMA]))
        return
    if plan is None:
        raise UsageError("no plan is named", fix="`edgefair study --list` names those that ship")
    outputs = outputs_of(formats, as_json=as_json, schemas=[FORESEEN_SCHEMA if dry_run else RUN_SCHEMA])
    given = open_plan(plan, overrides(settings))
    folder = output or Path("studies") / given.plan.study
    if dry_run:
        with progress_bar() as progress:
            foreseen = foresee(given, folder, progress=progress)
        write_result(foreseen, outputs)
        return
    with progress_bar() as progress:
        done = run_study(given, folder, executor=executor, settings=Settings(workers, address), progress=progress)
    write_result(done, outputs)
    say(f"next: edgefair study report {folder}")
    ctx.exit(EXIT_MEASUREMENT if len(done.failed) == done.cells else 0)
