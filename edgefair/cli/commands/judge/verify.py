"""`edgefair verify`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.gate_options import gate_options
from edgefair.cli.options import (
    config_options,
    names_models,
    overrides,
    reference_audit_options,
    rows_option,
    verdict_options,
    weights_option,
)
from edgefair.cli.progress import progress_bar


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@weights_option
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    default=None,
    help="The model before compression, of the same kinds as PATH.  [default: the one in the bundle]",
)
@click.option(
    "--uncompressed",
    is_flag=True,
    help="This .onnx file was never compressed: it is its own reference. The report says that this is your claim.",
)
@click.option(
    "--report", "report_path", type=click.Path(path_type=Path), default=None, help="Also write the report as JSON here."
)
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    default=None,
    help="Also write the raw measurements here, for `compare` and --from-record.",
)
@click.option(
    "--from-record",
    type=click.Path(path_type=Path),
    default=None,
    help="Judge recorded measurements again by the current policy; no device, model or data is needed.",
)
@click.option(
    "--decisions",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Judge this .csv or .parquet of decisions, which a device wrote (docs/targets.md); again for another device. "
    "PATH is the file that is said to have made them, of any kind; --target names a profile whose budgets apply.",
)
@click.option(
    "--reference-decisions",
    type=click.Path(path_type=Path),
    default=None,
    help="With --decisions: what the model before compression decided, in a file of the same kind.",
)
@click.option(
    "--write-reference-audit",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="Also write this model's counts here: the audit of the reference of models that are compressed from it.",
)
@reference_audit_options
@gate_options
@rows_option
@verdict_options
@config_options
@click.pass_context
@names_models
def command(
    ctx: click.Context,
    /,
    path: Path | None,
    weights: Path | None,
    reference: Path | None,
    uncompressed: bool,
    report_path: Path | None,
    record: Path | None,
    from_record: Path | None,
    decisions: tuple[Path, ...],
    reference_decisions: Path | None,
    write_reference_audit: Path | None,
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
    **gates: object,
) -> None:
    """Measure a bundle or an .onnx file on the target and judge it.

    PATH defaults to the bundle that `edgefair export` writes for this project. It may also be a model of another kind,
    which is converted to ONNX first: {models}.

    \b
    Examples:
      edgefair verify --max-eo-gap 0.05
      edgefair verify model.onnx --reference fp32.onnx --max-accuracy-drop 0.01 --json
      edgefair verify bought.onnx --uncompressed
      edgefair verify --target local --target qemu:haswell --record raw.npz
      edgefair verify --sequential
      edgefair verify --from-record raw.npz --max-eo-gap 0.03
      edgefair verify --decisions board.csv firmware.tflite --reference fp32.onnx
      edgefair verify fp32.onnx --uncompressed --write-reference-audit fp32.audit.json
      edgefair sign fp32.audit.json --key edgefair.key
      edgefair verify int8.onnx --reference fp32.onnx --reference-audit fp32.audit.json
    """
    from edgefair.cli.in_ci import tell_ci
    from edgefair.config import load_config
    from edgefair.errors import UsageError
    from edgefair.probe.bundles.consistency import REPORT_SCHEMA
    from edgefair.report.output import outputs_of, write_result
    from edgefair.report.places import check_folders
    from edgefair.workflow.exemplars.changed import rows_not_at_hand, to_show_in
    from edgefair.workflow.measurement.judge import judge_record
    from edgefair.workflow.measurement.reference_audit import asked_for
    from edgefair.workflow.verify import verify

    config = load_config(config_path, overrides(settings, **gates))
    check_folders(record, write_reference_audit)
    if report_path is not None:
        formats = (*formats, f"json={report_path}")
    outputs = outputs_of(formats, as_json=as_json, schemas=[REPORT_SCHEMA])
    audited = any(item is not None for item in (reference_audit, reference_audit_key, write_reference_audit))
    beside = any(item is not None for item in (weights, record)) or uncompressed or sequential
    if not decisions and reference_decisions is not None:
        raise UsageError(
            "--reference-decisions without --decisions", fix="pass the decisions that are compared with it"
        )
    if decisions and (beside or audited or from_record is not None):
        raise UsageError(
            "--decisions judges a finished file of decisions, which nobody attests",
            expected="beside it PATH, --reference or --reference-decisions, and no --weights, --uncompressed, "
            "--sequential, record or reference audit",
        )
    beside = beside or any(item is not None for item in (path, reference))
    if from_record is not None and beside:
        raise UsageError(
            "--from-record judges recorded measurements",
            expected="no PATH, no --uncompressed, no --sequential and no other file",
        )
    if from_record is not None and show_rows is not None:
        raise rows_not_at_hand("a record holds decisions and no features", "verify the model itself")
    to_show = to_show_in(outputs, show_rows)
    with progress_bar() as progress:
        if from_record is not None:
            audits = asked_for(config, reference_audit, reference_audit_key, write_reference_audit)
            report = judge_record(config, from_record, audits=audits, progress=progress)
        elif decisions:
            from edgefair.workflow.measurement.brought.verify import verify_decisions

            targets = gates["targets"]
            report = verify_decisions(
                config,
                decisions,
                model=path,
                reference=reference,
                reference_decisions=reference_decisions,
                targets=targets if isinstance(targets, list) else (),
                latency=latency,
                progress=progress,
            )
        else:
            report = verify(
                config,
                path,
                weights=weights,
                reference=reference,
                uncompressed=uncompressed,
                latency=latency,
                record=record,
                sequential=sequential,
                reference_audit=reference_audit,
                reference_audit_key=reference_audit_key,
                write_reference_audit=write_reference_audit,
                to_show=to_show,
                progress=progress,
            )
    write_result(report, outputs, config=config_path, changed=None if to_show is None else to_show.found)
    if not no_ci:
        tell_ci(report, outputs, config_path)
    ctx.exit(report.exit_code)
