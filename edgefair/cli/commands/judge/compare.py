"""`edgefair compare`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import config_options, overrides, result_options, rows_option
from edgefair.cli.progress import progress_bar
from edgefair.cli.say import say


@click.command("compare")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--data", "data__source", default=None, help="Audit rows. Overrides data.source.")
@click.option(
    "--max-eo-increase", "policy__max_eo_increase", type=float, default=None, help="Gate on the increase of the gap."
)
@click.option(
    "--exemplars", type=click.Path(path_type=Path), default=None, help="Write the rows whose decision changed as CSV."
)
@rows_option
@result_options
@config_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    before: Path,
    after: Path,
    data__source: str | None,
    policy__max_eo_increase: float | None,
    exemplars: Path | None,
    show_rows: int | None,
    formats: tuple[str, ...],
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
) -> None:
    """What changes from one model to another, and for whom.

    BEFORE and AFTER are bundles, .onnx files, or records of `edgefair verify --record`. Measurements of the same rows
    are compared as pairs; others as independent samples, and the report says so.

    \b
    Examples:
      edgefair compare fp32.onnx int8.onnx --max-eo-increase 0.02
      edgefair compare monday.npz friday.npz --exemplars changed.csv
    """
    from edgefair.config import load_config
    from edgefair.report.output import outputs_of, write_result
    from edgefair.report.places import check_folders
    from edgefair.workflow.compare import compare
    from edgefair.workflow.exemplars.changed import to_show_in

    flags = overrides(settings, data__source=data__source, policy__max_eo_increase=policy__max_eo_increase)
    outputs = outputs_of(formats, as_json=as_json)
    to_show = to_show_in(outputs, show_rows)
    config = load_config(config_path, flags)
    if data__source is not None and config.data.audit is not None:
        raise click.UsageError(
            f"the audit rows of this config are those of data.audit: use --set data.audit={data__source} "
            "instead of --data"
        )
    check_folders(exemplars)
    with progress_bar() as progress:
        report = compare(config, before, after, exemplars=exemplars, to_show=to_show, progress=progress)
    recorded = all(path.suffix == ".npz" for path in (before, after))
    if exemplars is not None and config.data.id is None and not recorded:
        say(f"{exemplars}: `row` is a position among the audit rows; set data.id to get ids instead")
    write_result(report, outputs, changed=None if to_show is None else to_show.found)
    ctx.exit(report.exit_code)
