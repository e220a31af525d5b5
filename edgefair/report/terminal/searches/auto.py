"""What `edgefair train --auto` tried, and how far it came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from edgefair.probe.bundles.gates import AT_LEAST
from edgefair.report.terminal.tables import plain_table
from edgefair.report.titles import title_of

SHOWN_TRIALS = 8


def trials_table(auto: Mapping[str, Any]) -> Table:
    """The best treatments, with what they reach at their own threshold."""
    trials = sorted(auto["trials"], key=lambda trial: -trial["rank"])
    table = plain_table(f"best of {len(trials)} treatments and budgets, each at its own threshold")
    table.add_column("treatment", overflow="fold")
    for name in ("epochs", "threshold", "balanced acc."):
        table.add_column(name, justify="right")
    table.add_column("gates that are missed", overflow="fold")
    for trial in trials[:SHOWN_TRIALS]:
        missed = [f"{title_of(gate['gate'])} {gate['estimate']:.4f}" for gate in trial["gates"] if not gate["kept"]]
        table.add_row(
            trial["recipe"],
            str(trial["epochs"]),
            f"{trial['threshold']:.3f}",
            f"{trial['balanced_accuracy']:.4f}",
            ", ".join(missed) or "none",
        )
    return table


def reach_lines(auto: Mapping[str, Any]) -> Iterator[str]:
    """Of every gate how far the search came; what nothing reaches is said to be out of reach."""
    items = auto["reach"]
    kept = all(item["kept"] for item in items)
    yield f"chosen: {auto['chosen']}; {'every gate kept' if kept else 'NOT every gate is kept'} on the validation rows:"
    yield "  (these rows chose it among all that was tried: on others expect less)"
    own = max(auto["trials"], key=lambda trial: trial["rank"])["balanced_accuracy"]
    most = max(trial["balanced_accuracy"] for trial in auto["trials"])
    if most > own:
        yield f"  what that costs: balanced accuracy {own:.4f}, where {most:.4f} was reached with gates missed"
    for item in items:
        least = item["direction"] == AT_LEAST
        bound = "at least" if least else "at most"
        line = f"  {title_of(item['gate'])}: {_number(item['chosen'])}, aim {bound} {item['goal']:.4g}"
        if item["goal"] != item["threshold"]:
            line += f" (the policy: {item['threshold']:g})"
        told = "kept" if item["reached"] else "kept, by its confidence limit"
        yield f"{line}: {told if item['kept'] else 'MISSED'}"
        if item["kept"]:
            continue
        by_itself = f"{item['alone']:.4f} is the {'highest' if least else 'lowest'} of all that was tried"
        if not item["attainable"]:
            yield (
                f"    NOT ATTAINABLE with this network and these rows: {by_itself}, {item['lacking']:.4f} too "
                f"{'low' if least else 'high'}, whatever becomes of the other gates. More or better features, more "
                "rows or another network may; or ask for less"
            )
        elif item["beside"] is None:
            yield f"    {by_itself}, and nothing that was tried keeps all the other gates"
        else:
            yield f"    {by_itself}; {item['beside']:.4f} beside all the other gates"


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4f}"
