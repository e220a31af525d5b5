"""`edgefair doctor`."""

from __future__ import annotations

import click

from edgefair.cli.options import result_options


@click.command("doctor")
@result_options
def command(formats: tuple[str, ...], as_json: bool) -> None:
    """What is installed here, which extras and targets work, and what to do for those that do not.

    Starts no device and sends nothing anywhere.

    \b
    Examples:
      edgefair doctor
      edgefair doctor --json
    """
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.project.doctor import examine

    write_result(examine(), outputs_of(formats, as_json=as_json))
