"""`edgefair explain`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.config_flags import KeyCommand, key_flag
from edgefair.cli.options import (
    Share,
    config_options,
    names_models,
    overrides,
    result_options,
    rows_option,
    weights_option,
)
from edgefair.cli.progress import progress_bar
from edgefair.compress.config import CompressConfig


@click.command("explain", cls=KeyCommand)
@click.argument("model", required=False)
@click.option("--run", "run_name", default=None, help="Training run to explain.  [default: the only one in runs/]")
@weights_option
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="At most this many rows per (group, label) cell.",
)
@click.option(
    "--prune-share",
    type=Share(),
    default=0.5,
    show_default=True,
    help="Share of a layer's output channels that pruning takes.",
)
@click.option(
    "--plot", "plot_path", type=click.Path(path_type=Path), default=None, help="Also draw a heat map here (.png)."
)
@key_flag(CompressConfig, "compress__int8", text="INT8 to explain, instead of the config's; a bundle has its own.")
@key_flag(CompressConfig, "compress__fp16", text="Explain half precision.")
@rows_option
@result_options
@config_options
@click.pass_context
@names_models
def command(
    ctx: click.Context,
    /,
    model: str | None,
    run_name: str | None,
    weights: Path | None,
    rows: int,
    prune_share: float,
    plot_path: Path | None,
    compress__int8: str | None,
    compress__fp16: bool | None,
    show_rows: int | None,
    formats: tuple[str, ...],
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
) -> None:
    """Which layer hurts whom: what INT8 or FP16 and pruning of each layer do to every (group, label) cell.

    MODEL is a bundle (its FP32 reference is explained, and its compressed file inspected), or {models}.
    Without it a training run is explained.

    It also shows in which layers sums saturate on x86 processors without VNNI, ranges clip activations, or values are
    too large for FP16; this is computed here, whatever this machine's processor. It looks at training and validation
    rows, never at audit rows, and gives no verdict.

    \b
    Examples:
      edgefair explain
      edgefair explain dist/census --plot heat.png
      edgefair explain model.onnx --rows 256 --json
      edgefair explain --fp16
    """
    if model is not None and run_name is not None:
        raise click.UsageError("pass MODEL or --run, not both")
    from edgefair.config import load_config
    from edgefair.report.charts.layers import layer_map
    from edgefair.report.charts.pixels import picture
    from edgefair.report.charts.png import check_png, save_png
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.exemplars.changed import to_show_in
    from edgefair.workflow.explain import explain

    flags = overrides(settings, compress__int8=compress__int8, compress__fp16=compress__fp16)
    outputs = outputs_of(formats, as_json=as_json)
    to_show = to_show_in(outputs, show_rows, of="validation rows")
    config = load_config(config_path, flags)
    check_png(plot_path)
    with progress_bar() as progress:
        report = explain(
            config,
            model=model,
            run=run_name,
            weights=weights,
            rows=rows,
            prune_share=prune_share,
            to_show=to_show,
            progress=progress,
        )
    if plot_path is not None:
        save_png(plot_path, picture(layer_map(report)), "heat map")
    write_result(report, outputs, changed=None if to_show is None else to_show.found)
    ctx.exit(0)
