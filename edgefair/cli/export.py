"""`edgefair export`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from edgefair.cli.options import config_options, gate_options, json_option, overrides
from edgefair.cli.progress import progress_bar
from edgefair.debias import POST_METHODS


@click.command("export")
@click.argument("model", required=False)
@click.option(
    "--int8",
    type=click.Choice(["auto", "static", "dynamic"]),
    is_flag=False,
    flag_value="auto",
    default=None,
    help="INT8: static (calibrated as compress.calibration says), dynamic, or without a word dynamic for texts and "
    "static for everything else.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    default=None,
    help="Weights (.safetensors) of the torch module that package.module:factory makes.",
)
@click.option("--run", "run_name", default=None, help="Training run to export.  [default: the only one in runs/]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=None, help="The bundle.  [default: dist/PROJECT]"
)
@click.option(
    "--prune",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    default=None,
    metavar="RATIO",
    help="Remove this share of the multiply-accumulate operations as whole channels, then fine-tune. Overrides "
    "compress.prune.",
)
@click.option(
    "--scope",
    type=click.Choice(["local", "global"]),
    default=None,
    help="Prune every layer alike, or the weakest channels of all layers. Overrides compress.scope.",
)
@click.option(
    "--post",
    multiple=True,
    metavar="METHOD",
    help=f"Debias the compressed file: {', '.join(POST_METHODS)}, in the order given; none for nothing. Overrides "
    "debias.post.",
)
@click.option("--calibration", default=None, help="Calibration recipe by name or path. Overrides compress.calibration.")
@gate_options
@json_option
@config_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: str | None,
    int8: Literal["auto", "static", "dynamic"] | None,
    weights: Path | None,
    run_name: str | None,
    output: Path | None,
    prune: float | None,
    scope: str | None,
    post: tuple[str, ...],
    calibration: str | None,
    latency: bool,
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
    **gates: object,
) -> None:
    """Compress, measure on the target, and write the bundle only if every gate passes.

    MODEL is a model that is there already: a .onnx, .pt2 or .skops file, hf:FOLDER (saved by save_pretrained), or
    package.module:factory with --weights. Without it a training run is exported.

    Blocked: no model file appears at the destination, OUTPUT.blocked.json says why, and the exit code is 1 (FAIL) or
    3 (INCONCLUSIVE).

    \b
    Examples:
      edgefair export --int8
      edgefair export --int8 --run fair -o dist/fair --max-eo-gap 0.03
      edgefair export --prune 0.5 --int8 --post last-layer
      edgefair export hf:models/my-vit --int8
      edgefair export my_package.net:build --weights model.safetensors --int8 static
    """
    if model is not None and run_name is not None:
        raise click.UsageError("MODEL and --run are both given: which of them shall be exported?")
    from edgefair.config import load_config
    from edgefair.report.output import print_result
    from edgefair.workflow.export import export

    flags = overrides(
        settings,
        compress__prune=prune,
        compress__scope=scope,
        debias__post=list(post) or None,
        compress__calibration=calibration,
        **gates,
    )
    config = load_config(config_path, flags)
    with progress_bar() as progress:
        report = export(
            config,
            run=run_name,
            model=model,
            weights=weights,
            int8=int8,
            output=output,
            latency=latency,
            progress=progress,
        )
    print_result(report, as_json=as_json)
    ctx.exit(report.exit_code)
