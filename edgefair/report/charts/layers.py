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
    return heat_map(title, *_names(report), [panel for panel, _ in _panels(report)])


def layer_maps(report: Explanation) -> Iterator[tuple[Drawing, str]]:
    """The same for a page, where what lies below is found and what lies to the right is not: a drawing for each, and
    what its numbers are.
    """
    for panel, meaning in _panels(report):
        yield heat_map(panel.title, *_names(report), [replace(panel, title="")]), meaning


def _names(report: Explanation) -> tuple[list[str], list[str]]:
    """Of the layers and of the cells."""
    layers = [f"{item.node}  {shortened(item.weight)}" for item in report.layers]
    return layers, [cell.name for cell in report.cells]


def _panels(report: Explanation) -> list[tuple[Panel, str]]:
    """What a layer does, as far as there is something to see, and what the numbers are."""
    layers, low = report.layers, report.precision
    absent: Cells = (None,) * len(report.cells)
    grows = "Growth of the mean loss, in nats, by"
    channels = f"the weakest {report.prune_share:.0%} of channels"
    panels = [
        (
            Panel(f"loss by {low} here, others {low}", [item.within.loss for item in layers], "+.3f"),
            f"{grows} {low} in this layer, with all others in {low} too",
        ),
        (
            Panel(f"loss by {low} here alone", [item.alone.loss for item in layers], "+.3f"),
            f"{grows} {low} in this layer, with all others in float",
        ),
        (
            Panel(
                f"loss without {channels}",
                [absent if item.pruned is None else item.pruned.loss for item in layers],
                "+.2f",
            ),
            f"{grows} a layer without {channels}, before any training after that",
        ),
    ]
    if report.noticed("saturation"):
        saturation = [item.saturation or absent for item in layers]
        panel = Panel("sums beyond 16 bits (x86 without VNNI)", saturation, ".2%")
        panels.append((panel, "Share of the sums that such processors cut off; 7-bit weights prevent it"))
    if report.noticed("clipping"):
        panel = Panel("inputs cut off", [item.clipping or absent for item in layers], ".2%")
        panels.append((panel, "Share of a layer's inputs beyond its calibrated range"))
    if report.noticed("overflow"):
        panel = Panel("outputs beyond 65504", [item.overflow or absent for item in layers], ".2%")
        panels.append((panel, "Share of a layer's outputs that FP16 cannot hold"))
    return panels


def shortened(weight: str, most: int = 28) -> str:
    """A parameter's name without what they all end with, and without its beginning where it is too long."""
    name = weight.removesuffix(".weight")
    return name if len(name) <= most else f"…{name[1 - most :]}"
