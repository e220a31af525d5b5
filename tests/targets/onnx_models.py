"""Small real ONNX graphs for the tests of probe and targets."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, Column, InputSpec, ModelSpec, Reading

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


def saturating(path, *, reduce_range=False):
    """A u8 x s8 QDQ product whose pair sums, at most 2 * 255 * 126, leave int16: class 1 wins by far.

    Where VPMADDUBSW saturates, class 1's sums of bright rows are cut down to about those of class 0, whose pairs stay
    below the limit, and class 0's bias decides. With 7-bit weights, the same product, nothing leaves int16.
    """
    columns, scale = (np.array([[32, 63]] * 8), 2.0) if reduce_range else (np.array([[64, 126]] * 8), 1.0)
    constants = {
        "x_scale": np.float32(1.0),
        "x_zero": np.uint8(0),
        "w": columns.astype(np.int8),
        "w_scale": np.full(2, scale, dtype=np.float32),
        "w_zero": np.zeros(2, dtype=np.int8),
        "y_scale": np.float32(1024.0),
        "y_zero": np.uint8(0),
        "bias": np.array([8 * 2048, 0], dtype=np.float32),
    }
    return save(
        path,
        [
            helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "x_scale", "x_zero"], ["xd"]),
            helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wd"], axis=1),
            helper.make_node("MatMul", ["xd", "wd"], ["p"]),
            helper.make_node("QuantizeLinear", ["p", "y_scale", "y_zero"], ["pq"]),
            helper.make_node("DequantizeLinear", ["pq", "y_scale", "y_zero"], ["pd"]),
            helper.make_node("Add", ["pd", "bias"], ["logits"]),
            helper.make_node("ArgMax", ["logits"], ["decision"], axis=1, keepdims=0),
        ],
        [value("x", TensorProto.FLOAT, ["n", 8])],
        [value("decision", TensorProto.INT64, ["n"]), value("logits", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
