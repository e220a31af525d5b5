"""Surgery on a classifier's ONNX graph: where its probabilities and its last layer are, and a new decision on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgefair.errors import ModelError
from edgefair.graphs.metadata import set_spec
from edgefair.graphs.names import Names
from edgefair.graphs.outputs import set_outputs
from edgefair.graphs.producers import producer, producers
from edgefair.probe.onnx_files.spec import ModelSpec, Reading

DECISION, SCORE = "decision", "score"


@dataclass(frozen=True)
class LastLayer:
    """The linear layer that gives the logits: logits = features @ weight.T + bias.

    Attributes:
        features: name of its input, a float value [rows, width].
        logits: name of what follows it up to the softmax, the value that a new layer replaces.
    """

    features: str
    logits: str


class Editor:
    """A copy of a model to which nodes are added.

    Args:
        model: a classifier's graph.
        spec: how it is read.
    """

    def __init__(self, model: onnx.ModelProto, spec: ModelSpec) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.spec = spec
        self._graph = self.model.graph
        self._names = Names.of(self.model)

    def score(self) -> str:
        """The value that holds P(class), float32 [rows, classes]; made where the graph ends before it.

        Raises:
            ModelError: a graph that gives labels only.
        """
        reading = self.spec.reading
        if reading.kind == "label":
            if reading.score is None:
                raise ModelError(
                    "the model gives labels and no probabilities, so its threshold cannot be moved",
                    fix="export it with its probabilities, or omit debias.post",
                )
            return reading.score
        if reading.kind == "probabilities":
            return reading.output
        if reading.kind == "logits":
            return self.add("Softmax", [reading.output], axis=1)
        shaped = self.add("Reshape", [reading.output, self.constant(np.array([-1, 1], dtype=np.int64))])
        positive = self.add("Sigmoid", [shaped]) if reading.kind == "logit" else shaped
        negative = self.add("Sub", [self.constant(np.array(1.0, dtype=np.float32)), positive])
        return self.add("Concat", [negative, positive], axis=1)

    def last_layer(self) -> LastLayer:
        """The last linear layer, found backwards from the probabilities.

        Raises:
            ModelError: the probabilities do not come from a linear layer and a softmax.
        """
        made_by = producers(self._graph.node)
        reading = self.spec.reading
        logits = reading.output if reading.kind == "logits" else self._before_softmax(made_by)
        node = producer(made_by, logits, through=_COPIES)
        if node is not None and node.op_type == "Add":
            node = next((found for item in node.input if (found := producer(made_by, item, through=_COPIES))), None)
        if node is not None and node.op_type == "Mul":
            node = next((found for item in node.input if (found := _integer_product(made_by, item))), node)
        if node is None or node.op_type not in {"Gemm", "MatMul", "MatMulInteger", "MatMulNBits"}:
            raise ModelError(
                f"the logits come from {'no node' if node is None else node.op_type}, not from a linear layer",
                expected="a graph that ends in Gemm or MatMul (and Add), then Softmax",
                fix="debias method 'threshold' needs no last layer",
            )
        features = node.input[0]
        if node.op_type == "MatMulInteger":
            features = made_by[features].input[0]
        return LastLayer(features=features, logits=logits)

    def _before_softmax(self, made_by: dict[str, onnx.NodeProto]) -> str:
        node = made_by.get(self.score())
        if node is None or node.op_type != "Softmax":
            raise ModelError(
                f"the probabilities come from {'no node' if node is None else node.op_type}, not from a softmax",
                expected="a graph that ends in a linear layer, then Softmax",
                fix="debias method 'threshold' needs no last layer",
            )
        return node.input[0]

    def constant(self, value: NDArray[Any]) -> str:
        """A new initializer; its name."""
        name = self._names.numbered("post_constant")
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A new node at the end; the name of its output."""
        name = self._names.numbered(f"post_{operator.lower()}")
        self._graph.node.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def exposed(self, names: Sequence[str]) -> onnx.ModelProto:
        """A model that gives some inner float values as its only outputs."""
        shown = onnx.ModelProto()
        shown.CopyFrom(self.model)
        set_outputs(shown, [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names])
        return shown

    def finished(self, decision: str, score: str, threshold: float | None) -> tuple[onnx.ModelProto, ModelSpec]:
        """The model that gives `decision` int64 [rows] and `score` float32 [rows, classes], and its spec.

        Where an input has one of these names, the output has a number behind it. What only the old outputs needed is
        gone.
        """
        inputs = {item.name for item in self._graph.input}
        given = {
            value: self._names.fresh(name) if name in inputs else name
            for value, name in ((decision, DECISION), (score, SCORE))
        }
        self._rename(given)
        decision, score = given[decision], given[score]
        set_outputs(
            self.model,
            [
                helper.make_tensor_value_info(decision, TensorProto.INT64, ["rows"]),
                helper.make_tensor_value_info(score, TensorProto.FLOAT, ["rows", len(self.spec.classes)]),
            ],
        )
        spec = replace(self.spec, reading=Reading(output=decision, kind="label", threshold=threshold, score=score))
        set_spec(self.model, spec)
        onnx.checker.check_model(self.model)
        return self.model, spec

    def _rename(self, names: dict[str, str]) -> None:
        """Give values their final names; an older value of such a name makes room."""
        away = {new: self._names.numbered(f"post_{new}_before") for new in names.values() if new not in names}
        table = {**away, **names}
        for node in self._graph.node:
            node.input[:] = [table.get(name, name) for name in node.input]
            node.output[:] = [table.get(name, name) for name in node.output]
        for item in self._graph.initializer:
            item.name = table.get(item.name, item.name)


# What leaves values as they are, but for rounding.
_COPIES = frozenset({"QuantizeLinear", "DequantizeLinear", "Identity"})


def _integer_product(made_by: dict[str, onnx.NodeProto], name: str) -> onnx.NodeProto | None:
    """The MatMulInteger on dynamically quantized features that a value is scaled from."""
    node = producer(made_by, name, through=frozenset({"Cast"}))
    if node is None or node.op_type != "MatMulInteger":
        return None
    quantizer = made_by.get(node.input[0])
    return node if quantizer is not None and quantizer.op_type == "DynamicQuantizeLinear" else None


def decision_by_threshold(editor: Editor, score: str, threshold: str | float) -> str:
    """Two classes: class 1 where P(class 1) >= threshold (a number, or a value [rows]); the decision's name."""
    at = threshold if isinstance(threshold, str) else editor.constant(np.array(threshold, dtype=np.float32))
    positive = editor.add("Gather", [score, editor.constant(np.array(1, dtype=np.int64))], axis=1)
    return editor.add("Cast", [editor.add("GreaterOrEqual", [positive, at])], to=TensorProto.INT64)


def decision_by_weights(editor: Editor, score: str, weights: NDArray[np.float32]) -> str:
    """Any number of classes: argmax over weights [classes] * P(class); the decision's name."""
    weighed = editor.add("Mul", [score, editor.constant(weights)])
    return editor.add("ArgMax", [weighed], axis=1, keepdims=0)
