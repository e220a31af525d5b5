"""What a training run gave, for people and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgefair.joint import group_name
from edgefair.measure.counts import GroupCounts

SHOWN_TRIALS = 5

if TYPE_CHECKING:
    from edgefair.training.run import Run


def print_run(run: Run, *, as_json: bool) -> None:
    """Rates per group on the validation rows; no verdict, because those rows chose the model."""
    if as_json:
        content = {"schema": "edgefair.run/1", "folder": str(run.folder), "settings": run.settings, **run.metrics}
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
        return
    from edgefair.report.terminal.console import stdout_console
    from edgefair.report.terminal.tables import plain_table

    counts = GroupCounts.from_json(run.metrics["validation"])
    table = plain_table()
    table.add_column("group", overflow="fold")
    table.add_column("rows", justify="right")
    labels = ("FPR", "TPR") if len(counts.classes) == 2 else tuple(f"recall of {name}" for name in counts.classes)
    for name in labels:
        table.add_column(name, justify="right")
    for group, x in zip(counts.groups, counts.table, strict=True):
        hits = x[:, 1] if len(counts.classes) == 2 else x.diagonal()
        rates = [f"{hit / n:.4f}" if n else "no rows" for hit, n in zip(hits, x.sum(axis=1), strict=True)]
        table.add_row(group_name(group), f"{int(x.sum()):,}", *rates)
    console = stdout_console()
    console.print(f"trained {run.folder}; on its validation rows (estimates, not a verdict):", soft_wrap=True)
    console.print(table)
    for note in run.metrics.get("notes", ()):
        console.print(f"note: {note}", soft_wrap=True, markup=False, highlight=False)
    standing = run.metrics["standing"]
    console.print(
        f"accuracy {standing['accuracy']:.4f}, balanced {standing['balanced_accuracy']:.4f}; "
        f"equalized-odds gap {standing['gap']:.4f}"
    )
    for line in aim_lines(run.metrics.get("aims", ())):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    if run.metrics["epochs"]:
        why = _why_kept(standing, run.settings["train"]["aim"])
        console.print(f"kept epoch {run.metrics['kept_epoch']} of {len(run.metrics['loss'])}: {why}", soft_wrap=True)
    if "trials" in run.metrics:
        _print_trials(run)


def aim_lines(aims: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Whether training has met what it aims at, and for which attribute by how much (`training.selection.Aim`)."""
    if not aims:
        return
    met = all(item["gap_kept"] and item["floor_kept"] for item in aims)
    yield f"aim {'met' if met else 'MISSED'} on the validation rows (estimates):"
    for item in aims:
        aim = item["share"] * item["threshold"]
        beyond = "kept" if item["gap_kept"] else f"{item['gap'] - aim:.4f} too wide"
        yield (
            f"  {item['attribute']}: gap {item['gap']:.4f}, aim {aim:.4g} ({item['share']:g} of the threshold "
            f"{item['threshold']:g}): {beyond}"
        )
        floor = f"better than chance, {item['chance']:.4g}" if item["floor"] is None else f"floor {item['floor']:g}"
        least = item["chance"] if item["floor"] is None else item["floor"]
        below = "kept" if item["floor_kept"] else f"{least - item['worst_group']:.4f} too low"
        yield f"  {item['attribute']}: balanced accuracy of the worst group {item['worst_group']:.4f}, {floor}: {below}"


def _why_kept(standing: Mapping[str, Any], aim: float) -> str:
    """By which rule the epoch was chosen (`training.selection.Standing.rank`)."""
    if standing["feasible"]:
        return "best balanced accuracy on these rows among epochs that meet gap and floor"
    if standing["floor_kept"]:
        return (
            f"NO epoch met {aim:g} of policy.max_eo_gap on these rows; this one comes closest, a point of gap "
            "counted as a point of balanced accuracy. More epochs or different debiasing may help"
        )
    return "NO epoch met the floor of the worst group on these rows; this epoch comes closest"


def _print_trials(run: Run) -> None:
    """The best trials of a search, with what they were set to."""
    from edgefair.report.terminal.console import stdout_console
    from edgefair.report.terminal.tables import plain_table

    trials = sorted(run.metrics["trials"], key=lambda trial: -trial["value"])
    table = plain_table(f"best of {len(trials)} trials")
    table.add_column("balanced acc.", justify="right")
    table.add_column("gap and floor")
    table.add_column("settings", overflow="fold")
    for trial in trials[:SHOWN_TRIALS]:
        stage, value = divmod(trial["value"], 10)
        settings = ", ".join(f"{name} {value:.3g}" for name, value in trial["settings"].items())
        kept = {2: "kept", 1: "gap too wide", 0: "floor broken"}.get(int(stage), "diverged")
        table.add_row(f"{value:.4f}" if stage == 2 else "", kept, settings)
    stdout_console().print(table)
