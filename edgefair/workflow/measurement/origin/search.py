"""The first layer whose output two devices compute differently, found by bisecting the inner values of its graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgefair.measure.disagreement import Origin

if TYPE_CHECKING:
    from edgefair.graphs.boundaries import Boundaries

# Of a value's range. Sums of float32 in another order differ by some 1e-6 in each layer; below the first, and over a
# hundred layers, that stays under 1e-4.
ROUNDING = 1e-4
# Codes that lie between two integers are rounded to either: one step, 1/255 of the range of eight bits. A float
# computed from such codes may be off by that, and more where the rows at hand fill only a part of the range.
STEP, AFTER_CODES = 1, 1e-2
# A layer whose output differs by no more than so many times what its inputs do, begins nothing: it passes on.
GAIN = 4.0
BOUNDARY = "all inner values agree within rounding: these rows lie on the decision boundary"
GROWS = "differences grow by little from layer to layer up to '{}'"
HIDDEN = "it begins among {} layer(s) up to '{}', whose inner values cannot be looked at with the same decisions"


@dataclass(frozen=True)
class Seen:
    """How much a value differs between two devices.

    Attributes:
        difference: the largest one, as a share of the value's range on both devices.
        beyond: whether that is more than rounding.
    """

    difference: float
    beyond: bool


# What two devices compute for a value; None where it cannot be looked at, or where they decide alike while it is.
Look = Callable[[str], Seen | None]


def compared(
    first: NDArray[Any], second: NDArray[Any], rows: NDArray[np.intp] | slice = slice(None), *, coded: bool
) -> Seen:
    """How much two devices' numbers differ in some rows, as a share of the range over all that were asked.

    Args:
        first, second: [rows, ...], of the same rows; whole numbers are codes.
        rows: in which the difference is looked for.
        coded: whether they are computed from codes of few bits.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    most = float(np.max(np.abs(one - other)[rows], initial=0.0))
    if most == 0:
        return Seen(0.0, beyond=False)
    extent = max(one.max(), other.max()) - min(one.min(), other.min())
    share = most / float(extent)
    if first.dtype.kind in "iu":
        return Seen(share, beyond=most > STEP)
    return Seen(share, beyond=share > (AFTER_CODES if coded else ROUNDING))


def first_layer(graph: Boundaries, look: Look) -> Origin | str:
    """The layer that the difference between two devices' decisions begins in, or why none can be named.

    A value that differs is traced back: of the values that it depends on, the one in the middle is looked at. Where
    that differs, it is traced in turn; where it agrees, what it depends on is passed over for now. In the end all that
    the value is directly computed from agree, which is looked at and not concluded.
    """
    known: dict[str, Seen | None] = {}

    def seen(value: str) -> Seen | None:
        if value not in known:
            known[value] = look(value)
        return known[value]

    def differs(value: str) -> bool:
        found = seen(value)
        return found is not None and found.beyond

    end: str | None = None
    while True:
        end = _traced(graph, end, known, differs)
        earlier = _earlier(graph, end, known, differs)
        if earlier is None:
            return _named(graph, end, known)
        end = earlier


def _traced(
    graph: Boundaries, end: str | None, known: dict[str, Seen | None], differs: Callable[[str], bool]
) -> str | None:
    """A differing value that `end` depends on, or itself, as far back as bisecting leads."""
    passed: set[str] = set()
    while waiting := [value for value in graph.before(end) if value not in known and value not in passed]:
        middle = waiting[len(waiting) // 2]
        if differs(middle):
            end = middle
        elif known[middle] is not None:
            passed.update(graph.before(middle))
    return end


def _earlier(
    graph: Boundaries, end: str | None, known: dict[str, Seen | None], differs: Callable[[str], bool]
) -> str | None:
    """A differing one among the values that `end` is directly computed from; None where all have been looked at.

    Behind one that cannot be looked at are others, which are looked at in its place.
    """
    looked: tuple[str, ...] | None = None
    while (nearest := _nearest(graph, end, known)) != looked:
        looked = nearest
        for value in nearest:
            if differs(value):
                return value
    return None


def _nearest(graph: Boundaries, end: str | None, known: dict[str, Seen | None]) -> tuple[str, ...]:
    """The values that `end` is directly computed from, as far as they can be looked at."""
    hidden = {value for value, found in known.items() if found is None}
    return graph.back(end, set(graph.values) - hidden)[0]


def _named(graph: Boundaries, end: str | None, known: dict[str, Seen | None]) -> Origin | str:
    """The layer that computes `end`, where there is one and its inputs do not explain the difference."""
    inputs = _nearest(graph, end, known)
    _, nodes = graph.back(end, inputs)
    layers = [node for node in nodes if graph.weight(node) is not None]
    found = None if end is None else known[end]
    if found is None:
        return HIDDEN.format(len(layers), "the decision") if layers else BOUNDARY
    computing = next((node for node in nodes if node.op_type != "QuantizeLinear"), nodes[0])
    layer = layers[0] if layers else computing
    name = layer.name or layer.output[0]
    if len(layers) > 1:
        return HIDDEN.format(len(layers), name)
    before = (seen.difference for item in inputs if (seen := known[item]) is not None)
    if found.difference <= GAIN * max(before, default=0.0):
        return GROWS.format(name)
    return Origin(name, layer.op_type, graph.weight(layer), found.difference)
