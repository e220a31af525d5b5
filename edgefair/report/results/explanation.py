"""Which layer hurts whom: the values of `edgefair explain`, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

from edgefair.report.results.base import read_fields

EXPLANATION_SCHEMA = "edgefair.explanation/1"
# Saturating sums and clipped values below this share are not worth a line; --json has them.
NEGLIGIBLE = 1e-4
# Of every cell; None where the cell has no rows, or nothing was measured.
Cells = tuple[float | None, ...]


@dataclass(frozen=True)
class Moved:
    """How far one change of one layer moves the answers. What is above 0 got worse.

    Attributes:
        worst_loss: growth of the worst group's mean loss, in nats.
        gap: growth of the smoothed difference of the compared groups' rates; None without a comparison.
        loss: growth of every cell's mean loss, in nats.
        log_odds: mean signed change of the label's log-odds.
        probability: mean signed change of the label's probability.
        flips: share of the rows that are decided otherwise.
    """

    worst_loss: float
    gap: float | None
    loss: Cells
    log_odds: Cells
    probability: Cells
    flips: Cells


@dataclass(frozen=True)
class Layer:
    """One layer. What was not measured is None.

    Attributes:
        node: its name in the graph.
        operator: Conv, Gemm, MatMul, or Gather for an embedding.
        weight: name of its parameter; empty for a product of two activations.
        within: what low precision does here while every other layer has it: the compressed model against the one with
            this layer in float.
        alone: what low precision does here while every other layer is float.
        pruned: what the reference loses when this layer's weakest output channels give zero.
        saturation: share of the pair sums beyond 16 bits; None where the layer is not a product of unsigned and signed
            8-bit numbers.
        saturation_error: what saturation takes from the layer's output, relative to it (root mean squares).
        clipping: share of the input's values that the layer's range cuts off.
        overflow: share of the output's values that FP16 cannot hold; None in INT8.
        reference_us, low_us: microseconds of the layer in a query of the reference, and of the whole model in low
            precision, on the target; None where its runtime does not tell.
    """

    node: str
    operator: str
    weight: str
    within: Moved
    alone: Moved
    pruned: Moved | None
    saturation: Cells | None
    saturation_error: Cells | None
    clipping: Cells | None
    overflow: Cells | None
    reference_us: float | None = None
    low_us: float | None = None

    @property
    def hurt(self) -> int | None:
        """The cell whose loss grows most by low precision in this layer; None where it grows in none."""
        return largest(self.within.loss)


@dataclass(frozen=True)
class Cell:
    """One (group, label) cell.

    Attributes:
        rows: validation rows that were measured.
        train_rows: training rows whose activations were looked at.
    """

    group: str
    label: str
    rows: int
    train_rows: int

    @property
    def name(self) -> str:
        """Group and label."""
        return f"{self.group}, {self.label}"


@dataclass(frozen=True)
class Explanation:
    """The result of `edgefair explain`.

    Attributes:
        model: what was explained.
        int8: the value of `compress.int8` that asks for it; None where FP16 is explained.
        called, precision: what messages, and what tables and charts call the low precision.
        unsaturated: what would prevent `Layer.saturation`; None where nothing saturates.
        target: where the models answered.
        source: where the rows come from.
        rows_per_cell: at most so many of each cell were measured.
        prune_share: of the channels, in `Layer.pruned`.
        attributes: whose joint groups the cells are.
        compared: the comparison that `gap` is about, in words.
        difference: of the compared rates, in the compressed model on the sample.
        cells: every declared (group, label).
        layers: who does most harm first.
        notes: what to know beside the numbers.
    """

    schema: ClassVar[str] = EXPLANATION_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.explanation"

    model: str
    int8: str | None
    called: str
    precision: str
    unsaturated: str | None
    target: str
    source: str
    rows_per_cell: int
    prune_share: float
    attributes: tuple[str, ...]
    compared: str | None
    difference: float | None
    cells: tuple[Cell, ...]
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, no NaN; null for a number that was not measured."""
        return {"schema": EXPLANATION_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            ValueError: not such a result.
        """
        precision = "FP16" if data.get("int8") is None else "INT8"
        earlier = {
            "unsaturated": None,
            "called": f"{data.get('int8') or ''} {precision}".strip(),
            "precision": precision,
        }
        return read_fields(cls, {**earlier, **data})

    def noticed(self, values: Literal["saturation", "clipping", "overflow"]) -> tuple[Layer, ...]:
        """Layers where these are not negligible in some cell, the worst one first."""

        def most(item: Layer) -> float:
            found: Cells = getattr(item, values) or ()
            return max((value for value in found if value is not None), default=0.0)

        return tuple(sorted((item for item in self.layers if most(item) >= NEGLIGIBLE), key=most, reverse=True))

    def between_groups(self, values: Cells) -> tuple[float, str] | None:
        """Largest difference between two groups, and the group with the larger value; None without two groups.

        A group's value is the mean over its rows.
        """
        found: dict[str, list[tuple[float, int]]] = {}
        for cell, value in zip(self.cells, values, strict=True):
            if value is not None:
                found.setdefault(cell.group, []).append((value, cell.train_rows))
        mean = {
            group: sum(value * rows for value, rows in items) / sum(rows for _, rows in items)
            for group, items in found.items()
        }
        if len(mean) < 2:
            return None
        top = max(mean, key=lambda group: mean[group])
        return mean[top] - min(mean.values()), top


def largest(values: Sequence[float | None]) -> int | None:
    """Where the largest value above 0 is."""
    known = [(value, -index) for index, value in enumerate(values) if value is not None and value > 0]
    return -max(known)[1] if known else None
