"""`edgefair diagnose`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import Number, config_options, overrides, result_options
from edgefair.cli.progress import progress_bar


@click.command("diagnose")
@click.option("--run", "run_name", default=None, help="Training run to diagnose.  [default: the only one in runs/]")
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    help="At most this many training rows per (group, label) cell.",
)
@click.option(
    "--extent",
    type=Number(min=0, max=1, min_open=True),
    default=0.05,
    show_default=True,
    help="How far compression moves the weights, relative to their norm.",
)
@result_options
@config_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run_name: str | None,
    rows: int,
    extent: float,
    formats: tuple[str, ...],
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
) -> None:
    """Who stands to lose from compression: hints from the trained model, per group and label.

    Gradient, curvature and margin of the trained model on its training rows, and the most that the loss of each cell
    can grow if the weights move. The validation rows are searched for label noise. No verdict: `edgefair export`
    measures what compression did.

    \b
    Examples:
      edgefair diagnose
      edgefair diagnose --run fair --extent 0.01
      edgefair diagnose --rows 64 --json
    """
    from edgefair.config import load_config
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.diagnose import diagnose

    outputs = outputs_of(formats, as_json=as_json)
    config = load_config(config_path, overrides(settings))
    with progress_bar() as progress:
        report = diagnose(config, run=run_name, rows=rows, extent=extent, progress=progress)
    write_result(report, outputs)
    ctx.exit(0)
