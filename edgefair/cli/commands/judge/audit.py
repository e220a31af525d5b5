"""`edgefair audit`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import config_options, overrides, result_options
from edgefair.cli.progress import progress_bar


@click.group("audit")
def command() -> None:
    """The seal of the audit rows (policy.audit: sealed): what is spent, and opening it."""


@command.command("status")
@click.option(
    "--holds",
    type=click.Path(path_type=Path),
    default=None,
    help="Require that the account holds the verdict of this bundle or report.",
)
@result_options
@config_options
def status_command(
    holds: Path | None, formats: tuple[str, ...], as_json: bool, config_path: Path, settings: tuple[str, ...]
) -> None:
    """How often the audit rows were used, the level of the next verdict, and whether the account is complete.

    An account that was edited is refused. One whose last lines were removed looks valid by itself, so it is compared
    with the ledger beside the config, and with every bundle or report that --holds names.

    \b
    Examples:
      edgefair audit status
      edgefair audit status --holds dist/people --json
    """
    from edgefair.config import load_config
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.audit import audit_status

    outputs = outputs_of(formats, as_json=as_json)
    config = load_config(config_path, overrides(settings))
    with progress_bar() as progress:
        status = audit_status(config, holds=holds, progress=progress)
    write_result(status, outputs)


@command.command("open")
@click.option("--reason", default="", help="Why, for whoever reads the account.")
@result_options
@config_options
def open_command(
    reason: str, formats: tuple[str, ...], as_json: bool, config_path: Path, settings: tuple[str, ...]
) -> None:
    """Open the seal of the audit rows for good: they may be looked at then, and can give no more sealed verdicts.

    \b
    Examples:
      edgefair audit open --reason "why was release 7 blocked?"
      edgefair verify --set policy.audit=open      then shows the numbers
    """
    from edgefair.config import load_config
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.audit import open_audit

    outputs = outputs_of(formats, as_json=as_json)
    config = load_config(config_path, overrides(settings))
    with progress_bar() as progress:
        status = open_audit(config, reason=reason, progress=progress)
    write_result(status, outputs)
