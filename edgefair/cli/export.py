"""`edgefair export`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import config_options, gate_options, json_option, overrides
from edgefair.cli.progress import progress_bar


@click.command("export")
@click.option("--int8", is_flag=True, help="Static INT8, calibrated as compress.calibration says.")
@click.option("--run", "run_name", default=None, help="Training run to export.  [default: the only one in runs/]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=None, help="The bundle.  [default: dist/PROJECT]"
)
@click.option("--calibration", default=None, help="Calibration recipe by name or path. Overrides compress.calibration.")
@gate_options
@json_option
@config_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    int8: bool,
    run_name: str | None,
    output: Path | None,
    calibration: str | None,
    latency: bool,
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
    **gates: object,
) -> None:
    """Compress, measure on the target, and write the bundle only if every gate passes.

    Blocked: no model file appears at the destination, OUTPUT.blocked.json says why, and the exit code is 1 (FAIL) or
    3 (INCONCLUSIVE).

    \b
    Examples:
      edgefair export --int8
      edgefair export --int8 --run fair -o dist/fair --max-eo-gap 0.03
    """
    from edgefair.config import load_config
    from edgefair.report.output import print_result
    from edgefair.workflow.export import export
    from edgefair.workflow.runs import choose_run

    config = load_config(config_path, overrides(settings, compress__calibration=calibration, **gates))
    with progress_bar() as progress:
        report = export(
            config, run=choose_run(config, run_name), int8=int8, output=output, latency=latency, progress=progress
        )
    print_result(report, as_json=as_json)
    ctx.exit(report.exit_code)
