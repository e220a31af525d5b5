"""One way to compress a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One way to compress a model; equal choices give equal files.

    Attributes:
        prune: share of the MACs that pruning removes; None for no pruning.
        calibration: name of the calibration recipe.
        seven_bit: nodes whose weights have 7 bits, so that no processor saturates.
        unsigned: nodes whose weights are unsigned, with the same end and all 8 bits.
        correct_bias: whether the last layer's bias is corrected, groups weighing alike.
        float_nodes: nodes that stay in float.
        post: treatments of the file beyond those of the recipe.
    """

    prune: float | None
    calibration: str
    seven_bit: tuple[str, ...] = ()
    unsigned: tuple[str, ...] = ()
    correct_bias: bool = False
    float_nodes: tuple[str, ...] = ()
    post: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)
