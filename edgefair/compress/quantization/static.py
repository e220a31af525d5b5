"""Static INT8, as QuantizeLinear/DequantizeLinear pairs around layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgefair.compress.quantization.agreement import check_agreement, disagreements
from edgefair.compress.quantization.calibrate import Ranges
from edgefair.compress.quantization.dialect import DIALECTS
from edgefair.compress.quantization.placement import Graph
from edgefair.compress.quantization.prepare import (
    STATIC,
    check_quantizable,
    embedding_nodes,
    quantizable_nodes,
    weight_name,
)
from edgefair.compress.quantization.qdq import Writer
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.rewrites.layer_norm import keep_sums_apart
from edgefair.compress.quantization.weights import Codes, channel_axis, encode
from edgefair.errors import ModelError
from edgefair.exporters.checked import checked_model
from edgefair.graphs.names import Names


@dataclass(frozen=True)
class Precision:
    """Which linear layers are how, by the names of the prepared graph's nodes.

    Attributes:
        float_nodes: stay in float, with float rows in and out where their neighbours give them; `embedding_nodes` may
            be among them.
        reduced_nodes: 7-bit weights, whose products do not saturate in 16-bit sums of pairs; None: all.
        unsigned_nodes: unsigned weights, whose kernels do not saturate; their values are as with signed ones.
    """

    float_nodes: frozenset[str] = frozenset()
    reduced_nodes: frozenset[str] | None = frozenset()
    unsigned_nodes: frozenset[str] = frozenset()


def quantize_static(
    prepared: onnx.ModelProto, ranges: Ranges, recipe: CalibrationRecipe, precision: Precision | None = None
) -> onnx.ModelProto:
    """`Quantizer(prepared, ranges, recipe).quantize(precision)`: for one file; a search keeps the quantizer."""
    return Quantizer(prepared, ranges, recipe).quantize(precision or Precision())


class Quantizer:
    """FP32 graph and ranges -> INT8 graphs of any precision; codes of weights are kept between them.

    What an INT8 graph must not compute as codes is found by `hold`, and is then in float whatever the precision.

    Args:
        prepared: a graph of `prepare_graph`.
        ranges: of `calibrate`, on the same graph.
        recipe: types, granularity and runtime.

    Raises:
        ModelError: nothing to quantize, or ranges of another graph.
    """

    def __init__(self, prepared: onnx.ModelProto, ranges: Ranges, recipe: CalibrationRecipe) -> None:
        self.prepared, self.ranges, self.recipe = prepared, ranges, recipe
        self.nodes = quantizable_nodes(prepared)
        check_quantizable(prepared, STATIC)
        if not self.nodes:
            raise ModelError("no layer of the graph has a constant FP32 weight", expected="an FP32 model")
        self._tables = frozenset(embedding_nodes(prepared))
        self._dialect = DIALECTS[recipe.runtime]
        self.embeddings = embedding_nodes(prepared) if self._dialect.embeddings else ()
        self.held: dict[str, str] = {}
        self._graph = Graph(prepared)
        self._codes: dict[tuple[str, int | None, int, bool], Codes] = {}

    def hold(self, precision: Precision, rows: Mapping[str, NDArray[Any]]) -> None:
        """Keep in float what its codes do not compute rightly on some rows: node -> what was found, in `held`.

        Args:
            rows: a few, as graph inputs.

        Raises:
            ModelError: as `quantize`; or a node that is wrong in float too.
        """
        while found := disagreements(self.prepared, self.quantize(precision), rows):
            check_agreement([item for item in found if item.node in self.held])
            self.held |= {item.node: item.found for item in found}

    def quantize(self, precision: Precision) -> onnx.ModelProto:
        """The INT8 graph, of equal bytes for equal arguments and for equal rows of `hold`.

        Raises:
            ModelError: names that are not the graph's, or nothing left to quantize.
        """
        reduced = frozenset(self.nodes) if precision.reduced_nodes is None else precision.reduced_nodes
        embeddings = frozenset(self.embeddings) - precision.float_nodes - self.held.keys()
        unknown = ((precision.float_nodes - self._tables) | reduced | precision.unsigned_nodes) - set(self.nodes)
        if unknown:
            raise ModelError(
                f"the graph has no quantizable node '{min(unknown)}'",
                expected=f"names among {', '.join(self.nodes[:5])}{', ...' if len(self.nodes) > 5 else ''}",
            )
        quantized = frozenset(self.nodes) - precision.float_nodes - self.held.keys()
        if not quantized and not embeddings:
            raise ModelError("every layer stays in float", expected="at least one in INT8")
        placement = self._dialect.place(self._graph, quantized, self.held.keys())
        writer = Writer(self._graph, placement, self.ranges, self.recipe, Names.of(self.prepared))
        for node in self._graph.nodes:
            if node.name in quantized:
                bits = self.recipe.weight_bits if self.recipe.weight_bits < 8 else 7 if node.name in reduced else 8
                unsigned = node.name in precision.unsigned_nodes
                least = writer.least_scale(node)
                writer.layer(node, self._encoded(node, bits, unsigned, least))
            elif node.name in embeddings:
                writer.embedding(node, self._rows(node))
            else:
                writer.node(node)
        model = writer.model(self.prepared)
        if self._dialect.sums_apart:
            keep_sums_apart(model)
        return checked_model(model)

    def _rows(self, node: onnx.NodeProto) -> Codes:
        """The codes of an embedding's table, one scale per row."""
        table = self._graph.constant[node.input[0]]
        if (key := (table.name, 0, 8, False)) not in self._codes:
            self._codes[key] = encode(numpy_helper.to_array(table), axis=0, bits=8, unsigned=False)
        return self._codes[key]

    def _encoded(self, node: onnx.NodeProto, bits: int, unsigned: bool, least: NDArray[np.float64] | float) -> Codes:
        """The codes of a layer's weight; those of the usual scale are kept."""
        weight = self._graph.constant[weight_name(node)]
        axis = channel_axis(node, len(weight.dims)) if self.recipe.weights == "per-channel" else None
        usual = (weight.name, axis, bits, unsigned)
        if usual not in self._codes:
            self._codes[usual] = encode(numpy_helper.to_array(weight), axis=axis, bits=bits, unsigned=unsigned)
        if np.any(self._codes[usual].scale < least):
            return encode(numpy_helper.to_array(weight), axis=axis, bits=bits, unsigned=unsigned, least=least)
        return self._codes[usual]
