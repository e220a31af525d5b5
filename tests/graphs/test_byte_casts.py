"""Bytes become floats by way of int32: the same numbers, in the same time on a CPU."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.graphs.byte_casts import byte_casts, widen_byte_casts
from edgefair.graphs.names import Names

node = helper.make_node
EVERY_BYTE = np.arange(256, dtype=np.uint8).reshape(1, 4, 64)


def bytes_to_floats():
    """Two casts of one input, one of a transposed one, and casts from and to other types."""
    nodes = [
        node("Cast", ["picture"], ["first"], "first", to=TensorProto.FLOAT),
        node("Cast", ["picture"], ["second"], "second", to=TensorProto.FLOAT),
        node("Transpose", ["picture"], ["moved"], perm=[0, 2, 1]),
        node("Cast", ["moved"], ["third"], to=TensorProto.FLOAT),
        node("Cast", ["picture"], ["half"], to=TensorProto.FLOAT16),
        node("Cast", ["half"], ["fourth"], to=TensorProto.FLOAT),
        node("Div", ["first", "byte"], ["share"]),
        node("Add", ["second", "fourth"], ["sum"]),
        node("Transpose", ["share"], ["turned"], perm=[0, 2, 1]),
        node("Add", ["turned", "third"], ["features"]),
        node("MatMul", ["features", "weight"], ["product"]),
    ]
    weight = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    made = helper.make_graph(
        nodes,
        "bytes",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, ["rows", 4, 64])],
        [
            helper.make_tensor_value_info("share", TensorProto.FLOAT, ["rows", 4, 64]),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["rows", 4, 64]),
            helper.make_tensor_value_info("product", TensorProto.FLOAT, ["rows", 64, 3]),
        ],
        [numpy_helper.from_array(np.float32(255), "byte"), numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture
def widened():
    model = bytes_to_floats()
    widen_byte_casts(model)
    return model


def run(model, level="ORT_ENABLE_ALL", optimized=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"picture": EVERY_BYTE})


def test_no_byte_becomes_a_float_directly(widened):
    assert [item.output[0] for item in byte_casts(bytes_to_floats())] == ["first", "second", "third"]
    assert byte_casts(widened) == ()
    onnx.checker.check_model(widened, full_check=True)
    # One int32 for all that read the same value.
    assert len(widened.graph.node) == len(bytes_to_floats().graph.node) + 2
    again = onnx.ModelProto()
    again.CopyFrom(widened)
    widen_byte_casts(again)
    assert again == widened


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"])
def test_every_number_is_the_same_bit_for_bit(widened, level):
    for before, after in zip(run(bytes_to_floats(), level), run(widened, level), strict=True):
        np.testing.assert_array_equal(before.view(np.uint32), after.view(np.uint32))


def test_onnxruntime_runs_the_same_nodes_on_a_cpu_as_before(widened, tmp_path):
    run(bytes_to_floats(), optimized=tmp_path / "before.onnx")
    run(widened, optimized=tmp_path / "after.onnx")
    before, after = (onnx.load(tmp_path / f"{name}.onnx").graph.node for name in ("before", "after"))
    assert [item.op_type for item in before] == [item.op_type for item in after]


def test_a_name_that_is_taken_is_left_alone():
    model = bytes_to_floats()
    model.graph.node[3].output[0] = "picture_int32"
    model.graph.node[9].input[1] = "picture_int32"
    widen_byte_casts(model)
    names = [name for item in model.graph.node for name in item.output]
    assert len(names) == len(set(names))
    assert Names.of(model).fresh("picture_int32") != "picture_int32"
    onnx.checker.check_model(model, full_check=True)
