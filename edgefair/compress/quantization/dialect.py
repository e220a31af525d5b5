"""How the kernels of a runtime want an INT8 graph to be written: one object each, by the name in a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from edgefair.compress.quantization.placement import Graph, Placement, place_for_cpu, place_for_tensorrt


@dataclass(frozen=True)
class Dialect:
    """One way to write the same arithmetic.

    Attributes:
        place: where pairs sit, of a graph, the layers in INT8, and other nodes that read float.
        integer_weights: whether weights are codes; else they are in float, with a pair behind them.
        integer_bias: whether a bias may be codes.
        embeddings: whether tables may be codes.
        sums_apart: whether a sum must be kept from being fused with the normalization behind it.
    """

    place: Callable[[Graph, Set[str], Set[str]], Placement]
    integer_weights: bool
    integer_bias: bool
    embeddings: bool
    sums_apart: bool


DIALECTS: Mapping[str, Dialect] = {
    "onnxruntime-cpu": Dialect(
        place_for_cpu, integer_weights=True, integer_bias=True, embeddings=True, sums_apart=True
    ),
    # A row of an embedding is an activation: in 8 bits it would be the narrowest of all.
    "npu": Dialect(place_for_cpu, integer_weights=True, integer_bias=True, embeddings=False, sums_apart=True),
    "tensorrt": Dialect(
        place_for_tensorrt, integer_weights=False, integer_bias=False, embeddings=False, sums_apart=False
    ),
}
