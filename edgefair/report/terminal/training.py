"""What a training run gave, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefair.joint import group_name
from edgefair.measure.counts import GroupCounts
from edgefair.report.results.training import Trained
from edgefair.report.terminal.searches.auto import reach_lines, trials_table
from edgefair.report.terminal.tables import plain_table

SHOWN_TRIALS = 5


def render(run: Trained) -> RenderableType:
    """Rates per group on the validation rows; no verdict, because those rows chose the model."""
    metrics = run.metrics
    standing, searched = metrics["standing"], "auto" in metrics
    lines = [
        *(f"note: {note}" for note in metrics.get("notes", ())),
        f"accuracy {standing['accuracy']:.4f}, balanced {standing['balanced_accuracy']:.4f}"
        + ("" if searched else f"; equalized-odds gap {standing['gap']:.4f}"),
        *aim_lines(() if searched else metrics.get("aims", ())),
    ]
    if metrics["epochs"] and not searched:
        why = _why_kept(standing, run.settings["train"]["aim"])
        lines.append(f"kept epoch {metrics['kept_epoch']} of {len(metrics['loss'])}: {why}")
    parts: list[RenderableType] = [] if "trials" not in metrics else [_trials(metrics["trials"])]
    if searched:
        parts += [trials_table(metrics["auto"]), *map(Text, reach_lines(metrics["auto"]))]
    return Group(
        Text(f"trained {run.folder}; on its validation rows (estimates, not a verdict):"),
        _rates(GroupCounts.from_json(metrics["validation"])),
        *map(Text, lines),
        *parts,
    )


def _rates(counts: GroupCounts) -> Table:
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
    return table


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


def _trials(found: Sequence[Mapping[str, Any]]) -> Table:
    """The best trials of a search, with what they were set to."""
    trials = sorted(found, key=lambda trial: -trial["value"])
    table = plain_table(f"best of {len(trials)} trials")
    table.add_column("balanced acc.", justify="right")
    table.add_column("gap and floor")
    table.add_column("settings", overflow="fold")
    for trial in trials[:SHOWN_TRIALS]:
        stage, value = divmod(trial["value"], 10)
        settings = ", ".join(f"{name} {value:.3g}" for name, value in trial["settings"].items())
        kept = {2: "kept", 1: "gap too wide", 0: "floor broken"}.get(int(stage), "diverged")
        table.add_row(f"{value:.4f}" if stage == 2 else "", kept, settings)
    return table
