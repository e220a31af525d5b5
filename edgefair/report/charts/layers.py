"""What each layer does to each cell, drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgefair.joint import join
from edgefair.report.charts.drawing import Drawing
from edgefair.report.charts.heat_map import Panel, heat_map
from edgefair.report.results.explanation import Cells, Explanation


def layer_map(report: Explanation) -> Drawing:
    """A heat map of layers by cells: low precision, pruning, and what saturates, is cut off or overflows."""
    title = (
        f"{report.model}: what each layer does to the {join(report.attributes)} cells "
        "(red: worse, blue: better, grey: not measured)"
    )
    return heat_map(title, *_names(report), _panels(report))


def layer_maps(report: Explanation) -> Iterator[Drawing]:
    """The same for a page, where what lies below is found and what lies to the right is not: a drawing each."""
    for panel in _panels(report):
        yield heat_map(panel.title, *_names(report), [replace(panel, title="")])


def _names(report: Explanation) -> tuple[list[str], list[str]]:
    """Of the layers and of the cells."""
    layers = [f"{item.node}  {shortened(item.weight)}" for item in report.layers]
    return layers, [cell.name for cell in report.cells]


def _panels(report: Explanation) -> list[Panel]:
    layers, low = report.layers, report.precision
    absent: Cells = (None,) * len(report.cells)
    panels = [
        Panel(f"loss by {low} here, others {low}", [item.within.loss for item in layers], "+.3f"),
        Panel(f"loss by {low} here alone", [item.alone.loss for item in layers], "+.3f"),
        Panel(
            f"loss without the weakest {report.prune_share:.0%} of channels",
            [absent if item.pruned is None else item.pruned.loss for item in layers],
            "+.2f",
        ),
    ]
    if report.noticed("saturation"):
        saturation = [item.saturation or absent for item in layers]
        panels.append(Panel("sums beyond 16 bits (x86 without VNNI)", saturation, ".2%"))
    if report.noticed("clipping"):
        panels.append(Panel("inputs cut off", [item.clipping or absent for item in layers], ".2%"))
    if report.noticed("overflow"):
        panels.append(Panel("outputs beyond 65504", [item.overflow or absent for item in layers], ".2%"))
    return panels


def shortened(weight: str, most: int = 28) -> str:
    """A parameter's name without what they all end with, and without its beginning where it is too long."""
    name = weight.removesuffix(".weight")
    return name if len(name) <= most else f"…{name[1 - most :]}"
