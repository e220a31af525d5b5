"""`edgefair data`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from edgefair.cli.options import config_options, overrides, result_options
from edgefair.cli.say import say


@click.group("data")
def command() -> None:
    """What the data holds."""


@command.command("describe")
@click.option(
    "--sheet", type=click.Path(path_type=Path), default=None, help="Also write samples of every cell here (.png)."
)
@click.option("--attribute", default=None, help="Groups of the contact sheet.  [default: the first sensitive one]")
@click.option(
    "--split", type=click.Choice(["train", "validation", "audit"]), default="train", help="Rows of the contact sheet."
)
@click.option("--each", type=click.IntRange(1, 60), default=6, show_default=True, help="Pictures per cell.")
@result_options
@config_options
def describe_command(
    sheet: Path | None,
    attribute: str | None,
    split: Literal["train", "validation", "audit"],
    each: int,
    formats: tuple[str, ...],
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
) -> None:
    """Features, and groups x labels of every split, with counts and base rates, and what had to be left out.

    \b
    Examples:
      edgefair data describe
      edgefair data describe --set data.source=other.parquet --json
      edgefair data describe --sheet cells.png --attribute skin_tone
    """
    from edgefair.config import load_config
    from edgefair.data.dataset import load
    from edgefair.report.charts.png import check_png, save_png
    from edgefair.report.output import outputs_of, write_result
    from edgefair.report.results.data import describe

    outputs = outputs_of(formats, as_json=as_json)
    config = load_config(config_path, overrides(settings))
    check_png(sheet)
    data = load(config.data, base=config.base, roles=["audit"], optional=["train", "validation"])
    if sheet is not None:
        from edgefair.report.charts.contact_sheet import contact_sheet
        from edgefair.workflow.exemplars.samples import picture_samples

        attribute = attribute or config.data.sensitive[0]
        cells = picture_samples(data, attribute, role=split, each=each)
        picture = contact_sheet(cells, title=f"{data.source}, {split} rows by {attribute} and label")
        save_png(sheet, picture, "contact sheet", private=True)
        say(f"wrote {sheet}")
    write_result(describe(data), outputs)


@command.command("clean")
@click.option("--folds", type=click.IntRange(2, 20), default=3, show_default=True, help="Parts of the training rows.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="Also write the suspicious rows here (.csv): their ids, labels and likely labels.",
)
@result_options
@config_options
def clean_command(
    folds: int,
    output: Path | None,
    formats: tuple[str, ...],
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
) -> None:
    """Training labels that look wrong, per group and label.

    The configured network is trained on all folds but one, and asked about the remaining one. A label is suspicious
    where the network is confident of another, by thresholds of the row's own group. A hint, not a proof.

    \b
    Examples:
      edgefair data clean
      edgefair data clean --folds 5 -o suspicious.csv
    """
    from edgefair.cli.progress import progress_bar
    from edgefair.config import load_config
    from edgefair.report.output import outputs_of, write_result
    from edgefair.workflow.clean import clean, write_rows

    outputs = outputs_of(formats, as_json=as_json)
    config = load_config(config_path, overrides(settings))
    with progress_bar() as progress:
        report = clean(config, folds=folds, progress=progress)
    if output is not None:
        write_rows(report, output)
        say(f"wrote {output}")
    write_result(report, outputs)


@command.command("export-inputs")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write: .npz; .parquet or .csv where the inputs are tables.",
)
@config_options
def export_inputs_command(path: Path | None, output: Path, config_path: Path, settings: tuple[str, ...]) -> None:
    """Write the audit rows for a device that edgefair cannot reach: ids, and the inputs of the model PATH.

    PATH defaults to the project's bundle. `edgefair verify --decisions` judges what the device decides. Labels
    and sensitive attributes are never in the file.

    \b
    Examples:
      edgefair data export-inputs -o inputs.npz
      edgefair data export-inputs model.onnx -o inputs.csv
    """
    from edgefair.cli.progress import progress_bar
    from edgefair.config import load_config
    from edgefair.workflow.measurement.brought.inputs import export_inputs

    config = load_config(config_path, overrides(settings))
    with progress_bar() as progress:
        found = export_inputs(config, output, path, progress=progress)
    say(
        f"wrote {found.path}: {found.rows:,} rows, ids in '{found.id_column}'",
        f"audit set {found.audit} (the decisions may carry it back as 'edgefair_audit')",
    )
