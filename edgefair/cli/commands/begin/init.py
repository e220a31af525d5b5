"""`edgefair init`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

import click

from edgefair.cli.say import say, say_next
from edgefair.report.escape import one_line


@click.command("init")
@click.option(
    "--data", "source", default="census-income", show_default=True, help="A built-in set, a file, or a folder."
)
@click.option("--layout", default=None, help="Published layout of the folder: celeba, fairface, ...")
@click.option("--label", default=None, help="Column that the model predicts.")
@click.option("--positive", default=None, help="Two classes: the label that is class 1.")
@click.option(
    "--sensitive", multiple=True, help="Sensitive column, or an intersection as sex*race. Repeatable; all are judged."
)
@click.option(
    "--bin",
    "bins",
    multiple=True,
    metavar="COLUMN=N,N,...",
    help="Ranges of a sensitive column of whole numbers, as age=30,45,60. Repeatable.",
)
@click.option("--audit", default=None, help="Separate file of audit rows; --data then trains and validates.")
@click.option(
    "--equal-rows",
    type=click.Choice(["people", "once"]),
    default=None,
    help="What equal rows are: different people, or copies of which one is judged.",
)
@click.option("--split", default=None, help="Column that says train, validation or test.  [default: drawn by hash]")
@click.option("--id", "row_id", default=None, help="Column that identifies a row.")
@click.option("--subject", default=None, help="Column that identifies a person with several rows.")
@click.option("--picture", default=None, help="Column of pictures: paths, or in Parquet the encoded bytes.")
@click.option("--folder", default=None, help="Folder that the paths of pictures start from.")
@click.option("--text", default=None, help="Column of texts.")
@click.option("--tokenizer", default=None, help="Folder of the tokenizer.json for the texts.")
@click.option("--encoding", default=None, help="Encoding of a CSV file, as cp1252.  [default: utf-8]")
@click.option(
    "--decimal", type=click.Choice([".", ","]), default=None, help="Decimal sign of a CSV file.  [default: .]"
)
@click.option(
    "--dates",
    type=click.Choice(["day-first", "month-first"]),
    default=None,
    help="What comes first in 01/02/2024 in a CSV file.",
)
@click.option("--exclude", multiple=True, help="Column that the model never sees. Repeatable.")
@click.option("--project", default=None, help="Name of the project.  [default: the name of the data]")
@click.option("--force", is_flag=True, help="Replace an existing edgefair.yaml.")
@click.option(
    "--ci",
    type=click.Choice(["github", "gitlab"]),
    default=None,
    help="Write the workflow of a project that has an edgefair.yaml (-o), and nothing else.",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of edgefair.yaml and write nothing.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("edgefair.yaml"), show_default=True)
def command(
    source: str,
    layout: str | None,
    label: str | None,
    positive: str | None,
    sensitive: tuple[str, ...],
    bins: tuple[str, ...],
    audit: str | None,
    equal_rows: str | None,
    split: str | None,
    row_id: str | None,
    subject: str | None,
    picture: str | None,
    folder: str | None,
    text: str | None,
    tokenizer: str | None,
    encoding: str | None,
    decimal: str | None,
    dates: str | None,
    exclude: tuple[str, ...],
    project: str | None,
    force: bool,
    ci: Literal["github", "gitlab"] | None,
    schema: bool,
    output: Path,
) -> None:
    """Write edgefair.yaml for this project, with its groups filled in from the data.

    Everything that prevents using a file is reported at once, with the flags that exclude it.

    \b
    Examples:
      edgefair init --data census-income --sensitive sex
      edgefair init --data loans.csv --label repaid --positive yes --sensitive gender --id customer_id
      edgefair init --data people.csv --label hired --positive 1 --sensitive sex --sensitive age --bin age=30,45,60 \\
        --sensitive sex*age --split part
      edgefair init --data people.csv --audit people-2025.csv --label hired --positive 1 --sensitive sex
      edgefair init --data peeps
      edgefair init --data celeba/ --layout celeba --label Smiling --positive yes --sensitive Male
      edgefair init --data comments.csv --text comment --tokenizer my-bert --label toxic --positive yes \\
        --sensitive gender
      edgefair init --ci github
    """
    from edgefair.workflow.project.init import config_schema, write_config

    if schema:
        sys.stdout.write(json.dumps(config_schema(), indent=1) + "\n")
        return
    if ci is not None:
        from edgefair.workflow.project.ci import write_workflow

        written = write_workflow(ci, output, force=force)
        click.echo(one_line(f"wrote {written.path}"))
        say(*written.remarks)
        return
    csv = {"encoding": encoding, "decimal": decimal, "dates": dates}
    wanted = {
        "csv": {name: value for name, value in csv.items() if value is not None} or None,
        "label": label,
        "positive": positive,
        "sensitive": list(sensitive) or None,
        "bin": dict(map(_bounds, bins)) or None,
        "audit": audit,
        "equal_rows": equal_rows,
        "split": split,
        "id": row_id,
        "subject": subject,
        "layout": layout,
        "picture": picture,
        "folder": folder,
        "text": text,
        "tokenizer": tokenizer,
        "exclude": list(exclude) or None,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    remarks = write_config(output, source=source, given=given, project=project, force=force)
    click.echo(one_line(f"wrote {output}"))
    say(*remarks)
    searchable = positive is not None and picture is None and text is None
    say_next(output, "data describe", "train --auto" if searchable else "train")


def _bounds(text: str) -> tuple[str, list[int]]:
    """`age=30,45,60` -> the column and its bounds."""
    name, _, listed = text.rpartition("=")
    try:
        bounds = [int(item) for item in listed.split(",")]
    except ValueError:
        bounds = []
    if not name or not bounds:
        raise click.UsageError(f"--bin '{text}' is not COLUMN=N,N,..., as age=30,45,60")
    return name, bounds
