"""`edgefair study report`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from edgefair.cli.options import result_options


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path))
@partial(result_options, names="terminal, json, html or markdown")
def report(folder: Path, formats: tuple[str, ...], as_json: bool) -> None:
    """What a study found: every planned contrast in a sentence, with its plots in the page of --format html=FILE.

    FOLDER is what `edgefair study PLAN` wrote. A study that has not run to its end is reported as far as it goes, and
    claims nothing. The exit code is no verdict: 0 where the study could be reported.

    \b
    Examples:
      edgefair study report studies/census-quick --format html=study.html
      edgefair study report studies/census-quick --format markdown=study.md --format json=study.json
    """
    from edgefair.report.output import outputs_of, write_result
    from edgefair.report.results.study import STUDY_SCHEMA
    from edgefair.study.findings.build import study_report
    from edgefair.study.findings.folder import read_study

    outputs = outputs_of(formats, as_json=as_json, schemas=[STUDY_SCHEMA])
    plan, rows = read_study(folder)
    write_result(study_report(plan, rows), outputs)
