"""`edgefair report`."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import click

from edgefair.cli.options import result_options
from edgefair.report.formats import FORMATS


@click.command("report")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--schema",
    type=click.Choice(["report", "compare", "explanation", "diagnosis", "plan", "study-report", "error"]),
    is_flag=False,
    flag_value="report",
    default=None,
    help="Print the JSON Schema of reports, or of the results of another command.",
)
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("edgefair.yaml"),
    show_default=True,
    help="The config whose lines annotations point at. The file need not exist.",
)
@click.option("--show-rows", type=int, default=None, hidden=True)
@partial(result_options, names=", ".join(FORMATS))
def command(
    files: tuple[Path, ...],
    schema: str | None,
    config_path: Path,
    show_rows: int | None,
    formats: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show saved results again, in any format; several as one document.

    FILES are results that --format json=FILE or --report wrote, OUT.blocked.json of a blocked export, or bundles. They
    are shown, not judged again. The exit code is 0 where they could be shown, whatever their verdicts.

    \b
    Examples:
      edgefair report dist/census
      edgefair report local.json board.json --format junit=gate.xml --format markdown=gate.md
      edgefair report report.json --format card=README.md --format cyclonedx=model.cdx.json
      edgefair report --schema > report.schema.json
      edgefair report --schema compare > compare.schema.json
    """
    from edgefair.errors import UsageError
    from edgefair.report.ci import repository
    from edgefair.report.formats.base import Item
    from edgefair.report.output import outputs_of, write_items
    from edgefair.report.policy_lines import policy_lines
    from edgefair.report.saved import read_saved
    from edgefair.report.schema import schema_of
    from edgefair.workflow.exemplars.changed import rows_not_at_hand

    if show_rows is not None:
        raise rows_not_at_hand("a saved result holds none", "measure again: `edgefair verify --show-rows`")
    if schema is not None and files:
        raise click.UsageError("pass FILES or --schema, not both")
    if schema is not None:
        sys.stdout.write(json.dumps(schema_of(schema), indent=1) + "\n")
        return
    if not files:
        raise click.UsageError("nothing to print: pass FILES, or --schema for the JSON Schema of reports")
    read = [path.resolve() for path in files]
    if len(set(read)) < len(read):
        twice = next(path for path, file in zip(files, read, strict=True) if read.count(file) > 1)
        raise UsageError(f"'{twice}' is named twice", fix="name every result once")
    results = [read_saved(path) for path in files]
    outputs = outputs_of(formats, as_json=as_json, schemas=[result.schema for result in results])
    over = next((path for item in outputs if (path := item.path) is not None and path.resolve() in read), None)
    if over is not None:
        raise UsageError(f"'{over}' is one of the results, and would be overwritten", fix="write to another file")
    lines = policy_lines(config_path, repository())
    names = [str(path) for path in files] if len(files) > 1 else [None]
    write_items([Item(result, name, lines) for result, name in zip(results, names, strict=True)], outputs)
