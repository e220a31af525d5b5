"""A graph that is run from layer to layer, so that what is changed on the way counts for all that follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgefair.errors import ModelError
from edgefair.exporters.conversion import first_line


class Stages:
    """Every node is run once, in the order of the graph; what no later node reads is forgotten.

    Args:
        model: a graph in topological order.
        rows: its inputs.
    """

    def __init__(self, model: onnx.ModelProto, rows: Mapping[str, NDArray[Any]]) -> None:
        self._model, self._at = model, 0
        self._nodes = [onnx.NodeProto() for _ in model.graph.node]
        for copied, node in zip(self._nodes, model.graph.node, strict=True):
            copied.CopyFrom(node)
        self._places = {node.name: place for place, node in enumerate(self._nodes)}
        self._constants = {item.name: item for item in model.graph.initializer}
        self._last = {name: place for place, node in enumerate(self._nodes) for name in node.input}
        self._values: dict[str, NDArray[Any]] = dict(rows)

    def read(self, name: str) -> NDArray[Any]:
        """What a node reads first. Nothing before it can be changed any more.

        Raises:
            ModelError: onnxruntime cannot run the graph.
        """
        place = self._places[name]
        self._run_to(place, self._nodes[place].input[0])
        return self._values[self._nodes[place].input[0]]

    def given(self, name: str) -> NDArray[Any]:
        """What a node gives first.

        Raises:
            ModelError: onnxruntime cannot run the graph.
        """
        place = self._places[name]
        self._run_to(place + 1, self._nodes[place].output[0])
        return self._values[self._nodes[place].output[0]]

    def scale(self, name: str) -> NDArray[np.float32] | None:
        """The scale of a layer's codes, [outputs] or []; None where its weight is no codes."""
        weight = self._nodes[self._places[name]].input[1]
        made = next((node for node in self._nodes if weight in node.output), None)
        if made is None or made.op_type != "DequantizeLinear":
            return None
        scale: NDArray[np.float32] = numpy_helper.to_array(self._constants[made.input[1]])
        return scale

    def put(self, name: str, place: int, value: NDArray[Any]) -> None:
        """Give a node that was not run yet another constant."""
        constant = f"{name}/{place}/put"
        self._constants[constant] = numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), constant)
        self._nodes[self._places[name]].input[place] = constant

    def _run_to(self, end: int, wanted: str) -> None:
        """Run what lies before a place."""
        nodes = [node for node in self._nodes[self._at : end] if any(node.output)]
        made = {name for node in nodes for name in node.output if name}
        kept = [name for name in sorted(made) if name == wanted or self._last.get(name, -1) >= end]
        if nodes and kept:
            self._values |= self._outcome(nodes, kept)
        self._at = max(self._at, end)
        self._values = {
            name: value for name, value in self._values.items() if name == wanted or self._last.get(name, -1) >= end
        }

    def _outcome(self, nodes: list[onnx.NodeProto], kept: list[str]) -> dict[str, NDArray[Any]]:
        import onnxruntime

        needed = {name for node in nodes for name in node.input}
        given = {name: value for name, value in self._values.items() if name in needed}
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim)
            for name, value in given.items()
        ]
        graph = helper.make_graph(
            nodes,
            "stage",
            inputs,
            [onnx.ValueInfoProto(name=name) for name in kept],
            [self._constants[name] for name in sorted(needed) if name in self._constants],
        )
        model = helper.make_model(graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version)
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
        try:
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            return dict(zip(kept, session.run(kept, given), strict=True))
        except Exception as error:
            raise ModelError(f"the graph cannot be run layer by layer: {first_line(error)}") from error
