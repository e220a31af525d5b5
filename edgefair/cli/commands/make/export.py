"""`edgefair export`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from edgefair.cli.compress_options import compress_options
from edgefair.cli.config_flags import KeyCommand
from edgefair.cli.gate_options import gate_options
from edgefair.cli.options import (
    config_options,
    counter_option,
    names_models,
    overrides,
    reference_audit_options,
    rows_option,
    verdict_options,
    weights_option,
)
from edgefair.cli.progress import progress_bar
from edgefair.cli.say import say, say_next


@click.command("export", cls=KeyCommand)
@click.argument("model", required=False)
@click.option("--run", "run_name", default=None, help="Training run to export.  [default: the only one in runs/]")
@weights_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=None, help="The bundle.  [default: dist/PROJECT]"
)
@click.option(
    "--sign",
    type=click.Path(path_type=Path),
    default=None,
    envvar="EDGEFAIR_SIGNING_KEY",
    show_envvar=True,
    metavar="KEY.pem",
    help="Sign what ships with this private key; see `edgefair sign --help`.",
)
@counter_option
@reference_audit_options
@compress_options
@gate_options
@rows_option
@verdict_options
@config_options
@click.pass_context
@names_models
def command(
    ctx: click.Context,
    /,
    model: str | None,
    run_name: str | None,
    weights: Path | None,
    output: Path | None,
    sign: Path | None,
    counter: int | None,
    reference_audit: Path | None,
    reference_audit_key: Path | None,
    latency: bool,
    sequential: bool,
    show_rows: int | None,
    formats: tuple[str, ...],
    as_json: bool,
    no_ci: bool,
    config_path: Path,
    settings: tuple[str, ...],
    **flags: Any,
) -> None:
    """Compress, measure on the target, and write the bundle only if every gate passes.

    MODEL is an existing model: {models}. Without it a training run is exported.

    The recipe is applied in the order of its flags below, from --distill to --post. If a gate fails on
    validation rows, the repair searches for the smallest concession that passes every gate.

    Blocked: no model file appears at the destination, OUTPUT.blocked.json says why, and the exit code is 1 (FAIL) or
    3 (INCONCLUSIVE). An older bundle stays where it is.

    \b
    Examples:
      edgefair export --int8
      edgefair export --int8 --run fair -o dist/fair --max-eo-gap 0.03
      edgefair export --prune 0.5 --scope global --importance fairgrape --int8
      edgefair export --distill big --student 0.5 --int8
      edgefair export --int8 --calibration int8-entropy --no-repair
      edgefair export hf:models/my-vit --int8
      edgefair export my_package.net:build --weights model.safetensors --int8 static
      edgefair export --int8 --sign edgefair.key --counter 7
      edgefair export fp32.onnx --int8 --reference-audit fp32.audit.json
    """
    if model is not None and run_name is not None:
        raise click.UsageError("pass MODEL or --run, not both")
    from edgefair.cli.in_ci import tell_ci
    from edgefair.config import load_config
    from edgefair.probe.bundles.consistency import REPORT_SCHEMA
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.exemplars.changed import to_show_in
    from edgefair.workflow.export import export, report_file

    outputs = outputs_of(formats, as_json=as_json, schemas=[REPORT_SCHEMA])
    to_show = to_show_in(outputs, show_rows)
    config = load_config(config_path, overrides(settings, **flags))
    with progress_bar() as progress:
        report = export(
            config,
            run=run_name,
            model=model,
            weights=weights,
            output=output,
            sign=sign,
            counter=counter,
            latency=latency,
            sequential=sequential,
            reference_audit=reference_audit,
            reference_audit_key=reference_audit_key,
            to_show=to_show,
            progress=progress,
        )
    write_result(report, outputs, config=config_path, changed=None if to_show is None else to_show.found)
    bundle = output or Path(os.path.relpath(config.bundle_path))
    if not no_ci:
        tell_ci(report, outputs, config_path, saved=report_file(bundle, report))
    if report.exit_code == 0:
        say_next(config_path, f"verify {shlex.quote(str(bundle))}")
    else:
        say(f"blocked; why: {report_file(bundle, report)}", _what_is_there(bundle))
    ctx.exit(report.exit_code)


def _what_is_there(bundle: Path) -> str:
    """What the blocked export has left where its bundle would be."""
    from edgefair.workflow.export import older_bundle

    older = older_bundle(bundle)
    if older is None:
        return f"'{bundle}' is no bundle, and stays as it was" if bundle.exists() else f"nothing is at '{bundle}'"
    digest = older.files[older.model].sha256[:16]
    return f"the older bundle at '{bundle}' stays as it was: {older.outcome}, judged {older.created}, sha256 {digest}"
