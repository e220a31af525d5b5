"""Small real ONNX graphs for the tests of probe and targets."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.spec import SPEC_METADATA_KEY, Column, InputSpec, ModelSpec, Reading

SPEC = ModelSpec(
    inputs=(InputSpec("x", "float32", (Column("a"), Column("b"))),),
    reading=Reading("decision", "label", score="score"),
    classes=("no", "yes"),
)


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def save(path, nodes, inputs, outputs, initializers=(), metadata=None, opset=20):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    for key, text in (metadata or {}).items():
        model.metadata_props.add(key=key, value=text)
    onnx.save_model(model, path)
    return path


def classifier(path, *, spec=SPEC, weights=((1.0, -1.0), (0.5, -0.5)), dtype=TensorProto.FLOAT, rows="n", name="x"):
    """score = softmax(x W), decision = argmax; with the spec in its metadata."""
    scalar = np.float32 if dtype == TensorProto.FLOAT else np.float64
    return save(
        path,
        [
            helper.make_node("MatMul", [name, "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["score"], axis=1),
            helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0),
        ],
        [value(name, dtype, [rows, len(weights)])],
        [value("decision", TensorProto.INT64, [rows]), value("score", dtype, [rows, 2])],
        [numpy_helper.from_array(np.array(weights, dtype=scalar), "w")],
        {} if spec is None else {SPEC_METADATA_KEY: spec.to_json()},
    )


def batches(rows, size, seed=0):
    x = np.random.default_rng(seed).normal(size=(rows, 2)).astype(np.float32)
    return x, [{"x": x[start : start + size]} for start in range(0, rows, size)]
