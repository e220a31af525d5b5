"""What the repair tried, and what each trial was worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgefair.report.charts.scatter import Point, scatter
from edgefair.report.numbers import shown
from edgefair.report.page import sentences
from edgefair.report.page.parts import Block, Cell, Chart, Section, Table
from edgefair.report.results.verification import Report

# What an axis shows of a trial, the first that all trials have: key, its name, its unit, and one of these units.
COSTS = (("p90_ms", "p90 of the latency", " ms", 1.0), ("size_bytes", "size of the file", " kB", 1000.0))
KEPT = ("every gate kept", "some gate not kept")


def trials(report: Report) -> Iterator[Section]:
    """A section, where there was a repair: gap against cost of every trial, and all of them as a table."""
    repair = report.settings.get("repair")
    if not repair:
        return
    made, chosen = repair["trials"], repair["chosen"]["choice"]
    threshold = report.policy["max_eo_gap"]
    blocks: list[Block] = [*_drawn(made, chosen, threshold), _table(made, chosen)]
    yield Section("Repair", sentences.TRIALS.format(repair["ended"]), blocks)


def _drawn(made: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], threshold: float) -> Iterator[Block]:
    """Nothing, of reports whose trials say no numbers."""
    known = [(number, trial) for number, trial in enumerate(made, 1) if trial.get("gap") is not None]
    cost = next((cost for cost in COSTS if all(trial.get(cost[0]) is not None for _, trial in known)), None)
    if not known or cost is None:
        return
    key, name, unit, one = cost
    points = [
        Point(_name(number, trial["choice"] == chosen), trial[key] / one, trial["gap"], bool(trial["kept"]))
        for number, trial in known
    ]
    caption = (
        f"Upper limit of the equalized-odds gap (validation rows) against the {name}, by the number of the trial; "
        f"dashed: {threshold:g} is allowed"
    )
    yield Chart(scatter(caption, points, threshold=threshold, unit=unit, key=KEPT), caption)


def _table(made: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]) -> Table:
    told = [cost for cost in COSTS if any(trial.get(cost[0]) is not None for trial in made)]
    rows: list[list[Cell]] = [
        [
            _name(number, trial["choice"] == chosen), KEPT[not trial["kept"]], shown(trial.get("gap")),
            *(_number(trial.get(key), one) for key, _, _, one in told),
            f"{trial['shortfall']:.3f}", in_words(trial["choice"]),
        ]
        for number, trial in enumerate(made, 1)
    ]  # fmt: skip
    costs = [f"{name},{unit}" for _, name, unit, _ in told]
    head = ["trial", "on validation rows", "gap at most", *costs, "shortfall", "what was tried"]
    return Table("Trials in their order", head, rows, frozenset(range(2, 4 + len(costs))))


def _name(number: int, is_chosen: bool) -> str:
    return f"{number}, chosen" if is_chosen else str(number)


def _number(value: float | None, one: float) -> str:
    return "?" if value is None else f"{value / one:,.4g}"


def in_words(choice: Mapping[str, Any]) -> str:
    """A choice of the repair, as its trial's log line says it."""
    nodes = {
        "seven_bit": "with 7-bit weights",
        "unsigned": "with unsigned weights",
        "float_nodes": "in float",
    }
    parts = [
        f"pruned by {choice['prune']:g}" if choice.get("prune") is not None else "",
        f"calibrated by {choice['calibration']}" if choice.get("calibration") else "",
        *(f"{', '.join(choice[key])} {said}" for key, said in nodes.items() if choice.get(key)),
        "bias corrected" if choice.get("correct_bias") else "",
        f"treated with {' and '.join(choice['post'])}" if choice.get("post") else "",
    ]
    return "; ".join(part for part in parts if part) or "the recipe"
