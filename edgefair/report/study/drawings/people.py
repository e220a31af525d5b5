"""Whom it happens to: what an extent and a treatment do to the best and the worst group, what it costs, who flips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgefair.report.charts.heat_map import Panel, heat_map
from edgefair.report.charts.studies.plane import Named, Spot, plane
from edgefair.report.page.parts import Block, Chart, More, Table
from edgefair.report.results.study import Level, StudyReport
from edgefair.report.study.words import EXPLORATORY, condition

# What a file costs, the first that all have.
COSTS = ("p90_ms", "packed_bytes", "bytes")
WORST, GAP = "worst_balanced", "gap"


def pareto(report: StudyReport) -> Iterator[Block]:
    """The worst group against what a file costs, on the cleanest data; the gap as colour."""
    levels = [level for level in _cleanest(report) if WORST in level.values]
    cost = next((name for name in COSTS if levels and all(name in level.values for level in levels)), None)
    if cost is None:
        return
    response = report.response(cost)
    gaps = [level.values[GAP].value if GAP in level.values else 0.0 for level in levels]
    largest = max(gaps) or 1.0
    spots = [
        Spot(
            level.values[cost].value * response.scale,
            100 * level.values[WORST].value,
            f"{condition(report, level.factors, purity=False)}: gap {100 * gap:.1f} points",
            gap / largest,
            level.collapsed > 0,
        )
        for level, gap in zip(levels, gaps, strict=True)
    ]
    front = [
        spot for spot in spots
        if not spot.hollow
        and not any(_beats(other, spot) for other in spots if not other.hollow)
    ]  # fmt: skip
    unbeaten = f"{len(front):,} of {len(spots):,} files are beaten by no other in both cost and worst group"
    finding = f"{unbeaten}. {EXPLORATORY}"
    first = levels[0].values[WORST].value * 100
    caption = (
        f"Worst group's balanced accuracy against {response.words}, means over seeds; the redder, the larger the gap; "
        "hollow: a model collapsed; dashed: the first condition of the plan. Numbers are those of the table below."
    )
    across = Named(f"{response.words}, {response.unit}")
    yield Chart(
        plane(f"{finding} {caption}", spots, across, Named("worst group's balanced accuracy, %", first)),
        caption,
        finding,
    )
    rows = [
        [
            str(number),
            condition(report, level.factors, purity=False),
            f"{spot.x:,.4g}",
            f"{spot.y:.1f}",
            f"{100 * gap:.1f}",
        ]
        for number, (level, spot, gap) in enumerate(zip(levels, spots, gaps, strict=True), 1)
    ]
    head = ["number", "condition", across.name, "worst group, %", "gap, points"]
    yield More("What the numbers are", [Table("Conditions by their number", head, rows, frozenset({2, 3, 4}))])


def levelling(report: StudyReport) -> Iterator[Block]:
    """What happens to the group that is served worst, and what to the one that is served best."""
    found = report.levelling
    if not found:
        return
    collapsed = {level.condition for level in report.levels if level.collapsed}
    factors = {level.condition: level.factors for level in report.levels}
    down = sum(item.best_change < 0 and item.worst_change <= 0 for item in found)
    best, worst = found[0].best, found[0].worst
    finding = f"{down:,} of {len(found):,} conditions make both '{best}' and '{worst}' worse. {EXPLORATORY}"
    spots = [
        Spot(100 * item.best_change, 100 * item.worst_change,
             f"{condition(report, factors[item.condition], purity=False)}: {100 * item.best_change:+z.1f}, "
             f"{100 * item.worst_change:+z.1f} points", hollow=item.condition in collapsed)
        for item in found
    ]  # fmt: skip
    caption = (
        f"Change of balanced accuracy from the first condition of the plan, in points, means over seeds: of '{best}', "
        f"which it serves best, to the right, and of '{worst}', which it serves worst, upwards; dashed: no change; "
        "hollow: a model collapsed. Lower left, both lose: a gap that closes there closes by treating people worse."
    )
    across, up = Named(f"best group '{best}', points", 0.0), Named(f"worst group '{worst}', points", 0.0)
    yield Chart(plane(f"{finding} {caption}", spots, across, up), caption, finding)
    rows = [
        [
            str(number),
            condition(report, factors[item.condition], purity=False),
            f"{spot.x:+z.1f}",
            f"{spot.y:+z.1f}",
            str(item.seeds),
        ]
        for number, (item, spot) in enumerate(zip(found, spots, strict=True), 1)
    ]
    head = ["number", "condition", f"{best}, points", f"{worst}, points", "seeds"]
    yield More("What the numbers are", [Table("Conditions by their number", head, rows, frozenset({2, 3, 4}))])


def flips(report: StudyReport) -> Iterator[Chart]:
    """Share of the decisions of every group and label that are not those of the dense model, or of the control."""
    factors = {level.condition: level.factors for level in report.levels}
    for against, what in (("dense", "the dense model"), ("control", "the control")):
        cells = [item for item in report.flips if item.against == against]
        if not cells:
            continue
        rows = list(dict.fromkeys(item.condition for item in cells))
        columns = list(dict.fromkeys((item.group, item.label) for item in cells))
        by = {(item.condition, item.group, item.label): item.flipped for item in cells}
        values = [[by.get((row, *column)) for column in columns] for row in rows]
        most = max(cells, key=lambda item: item.flipped)
        finding = (
            f"Most decisions that are not those of {what}: {most.flipped:.1%} of '{most.group}' with label "
            f"'{most.label}', {condition(report, factors[most.condition], purity=False)}. {EXPLORATORY}"
        )
        caption = f"Share of decisions that are not those of {what}, means over seeds; white: none; grey: not measured."
        names = [condition(report, factors[row], purity=False) for row in rows]
        heads = [f"{group}, label {label}" for group, label in columns]
        drawn = heat_map("", names, heads, [Panel("", values, ".1%")], ("conditions", "cells"))
        yield Chart(replace(drawn, title=f"{finding} {caption}"), caption, finding)


def _beats(one: Spot, other: Spot) -> bool:
    return one.x <= other.x and one.y >= other.y and (one.x, one.y) != (other.x, other.y)


def _cleanest(report: StudyReport) -> list[Level]:
    first = {name: report.factors[name][0] for name in ("noise", "keep", "thin")}
    return [level for level in report.levels if first.items() <= level.factors.items()]
