"""`edgefair report`."""

from __future__ import annotations

import json
import sys

import click


@click.command("report")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of reports.")
def command(schema: bool) -> None:
    """What `export` and `verify` write as a report.

    \b
    Examples:
      edgefair report --schema > report.schema.json
    """
    from edgefair.report.schema import report_schema

    if not schema:
        raise click.UsageError("nothing to print; --schema prints the JSON Schema of reports")
    sys.stdout.write(json.dumps(report_schema(), indent=1) + "\n")
