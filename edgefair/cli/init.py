"""`edgefair init`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command("init")
@click.option("--data", "source", default="census-income", show_default=True, help="A built-in set or a file.")
@click.option("--label", default=None, help="Column that the model predicts.")
@click.option("--positive", default=None, help="Two classes: the label that is class 1.")
@click.option("--sensitive", multiple=True, help="Sensitive column. Repeatable; the first one is gated.")
@click.option("--exclude", multiple=True, help="Column that the model never sees. Repeatable.")
@click.option("--project", default=None, help="Name of the project.  [default: the name of the data]")
@click.option("--force", is_flag=True, help="Replace an edgefair.yaml that is there.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of edgefair.yaml and write nothing.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("edgefair.yaml"), show_default=True)
def command(
    source: str,
    label: str | None,
    positive: str | None,
    sensitive: tuple[str, ...],
    exclude: tuple[str, ...],
    project: str | None,
    force: bool,
    schema: bool,
    output: Path,
) -> None:
    """Write edgefair.yaml for this project, with its groups filled in from the data.

    \b
    Examples:
      edgefair init --data census-income
      edgefair init --data loans.csv --label repaid --positive yes --sensitive gender --exclude customer_id
    """
    from edgefair.workflow.init import config_schema, write_config

    if schema:
        sys.stdout.write(json.dumps(config_schema(), indent=1) + "\n")
        return
    wanted = {
        "label": label,
        "positive": positive,
        "sensitive": list(sensitive) or None,
        "exclude": list(exclude) or None,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    write_config(output, source=source, given=given, project=project, force=force)
    click.echo(f"wrote {output}")
