"""`edgefair plan`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import Number, config_options, overrides, result_options
from edgefair.cli.progress import progress_bar


@click.command("plan")
@click.option("--max-eo-gap", "policy__max_eo_gap", type=float, default=None, help="Overrides policy.max_eo_gap.")
@click.option("--tpr", type=Number(0, 1), default=0.8, show_default=True, help="Rate to plan for.")
@click.option("--fpr", type=Number(0, 1), default=0.1, show_default=True, help="Rate to plan for.")
@click.option(
    "--flip-rate",
    type=Number(0, 1),
    default=0.01,
    show_default=True,
    help="Share of decisions that compression changes, for gates that compare.",
)
@click.option(
    "--icc",
    type=Number(0, 1),
    default=0.3,
    show_default=True,
    help="With data.subject: correlation of the decisions of one subject's rows.",
)
@click.option(
    "--simulations",
    type=click.IntRange(min=50),
    default=None,
    help="Audits behind every chance.  [default: 400; 120 of subjects]",
)
@click.option(
    "--label-budget",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Choose the N audit rows whose labels tell most, and write their ids to --out.",
)
@click.option(
    "--model",
    "model",
    type=click.Path(path_type=Path),
    default=None,
    help="With --label-budget: .onnx file or bundle that scores the rows.  [default: the project's bundle]",
)
@click.option(
    "--out",
    "out",
    type=click.Path(path_type=Path),
    default=None,
    help="With --label-budget: CSV file for the ids to label; the design is written beside it.",
)
@result_options
@config_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    policy__max_eo_gap: float | None,
    tpr: float,
    fpr: float,
    flip_rate: float,
    icc: float,
    simulations: int | None,
    label_budget: int | None,
    model: Path | None,
    out: Path | None,
    formats: tuple[str, ...],
    as_json: bool,
    config_path: Path,
    settings: tuple[str, ...],
) -> None:
    """Can this audit set decide by this policy? Rows needed.

    Audits like this one are simulated and judged by the whole policy: every group, attribute and gate, except those of
    size, latency and memory. Nothing is trained or measured. Exit code 3: even a fair model passes with a chance below
    80 %.

    With --label-budget: which audit rows to label, where labels cost money and the label column is still empty. A model
    scores all rows, and rows are drawn at random, more where labels are uncertain. Label them, set data.label_design to
    the design file, and `verify` weighs them correctly.

    \b
    Examples:
      edgefair plan
      edgefair plan --max-eo-gap 0.02 --tpr 0.9
      edgefair plan --flip-rate 0.03 --set policy.max_eo_increase=0.02
      edgefair plan --icc 0.6                # several rows per person, mostly decided alike
      edgefair plan --label-budget 1000 --model fp32.onnx --out to_label.csv
    """
    from edgefair.config import load_config
    from edgefair.errors import UsageError
    from edgefair.report.output import outputs_of, write_result
    from edgefair.report.places import check_folders
    from edgefair.workflow.planning.label_plan import plan_labels
    from edgefair.workflow.planning.plan import plan

    outputs = outputs_of(formats, as_json=as_json)
    config = load_config(config_path, overrides(settings, policy__max_eo_gap=policy__max_eo_gap))
    if label_budget is None and (model is not None or out is not None):
        raise UsageError("--model and --out choose rows to label", fix="add --label-budget N")
    if label_budget is not None:
        if out is None:
            raise UsageError("--label-budget needs --out", expected="a CSV file for the ids of the rows to label")
        check_folders(out)
        with progress_bar() as progress:
            chosen = plan_labels(config, label_budget, model=model, out=out, progress=progress)
        write_result(chosen, outputs)
        ctx.exit(chosen.exit_code)
    with progress_bar() as progress:
        result = plan(
            config, tpr=tpr, fpr=fpr, flip_rate=flip_rate, icc=icc, simulations=simulations, progress=progress
        )
    write_result(result, outputs)
    ctx.exit(result.exit_code)
