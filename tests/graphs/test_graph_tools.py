"""Tools on ONNX graphs: who gives a value, what a file says of itself, which outputs it has."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgefair.graphs.inner_values import inner_values
from edgefair.graphs.metadata import set_spec, take_metadata
from edgefair.graphs.outputs import exposed, set_outputs
from edgefair.graphs.producers import decoder, producer, producers, readers
from edgefair.graphs.quantized import is_quantized
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, InputSpec, ModelSpec, Reading
from tests.compress.graphs import layers

node = helper.make_node
CHAIN = [
    node("QuantizeLinear", ["x", "s", "z"], ["c"], "quantize"),
    node("DequantizeLinear", ["c", "s", "z"], ["d"], "dequantize"),
    node("Mul", ["d", "d"], ["y"], "square"),
]


def test_a_value_is_followed_to_the_node_that_gives_it():
    made_by = producers(CHAIN)
    assert producer(made_by, "y").name == "square"
    assert producer(made_by, "d", through={"DequantizeLinear"}).name == "quantize"
    assert producer(made_by, "d", through={"DequantizeLinear", "QuantizeLinear"}) is None
    assert (decoder(made_by, "d").name, decoder(made_by, "y"), decoder(made_by, "x")) == ("dequantize", None, None)


def test_a_node_reads_a_value_once_however_often_it_is_its_input():
    read_by = readers(CHAIN)
    assert [item.name for item in read_by["d"]] == ["square"]
    assert read_by["y"] == []


def test_a_file_says_how_it_is_read_once_and_keeps_what_else_it_says():
    model = layers(4, 3, 2)
    model.metadata_props.add(key="author", value="me")
    for classes in (("a", "b"), ("no", "yes")):
        spec = ModelSpec((InputSpec("x", "float32", array="x"),), Reading("y", "logits"), classes)
        set_spec(model, spec)
    assert {item.key: item.value for item in model.metadata_props} == {
        "author": "me",
        SPEC_METADATA_KEY: spec.to_json(),
    }
    other = layers(4, 3, 2)
    other.metadata_props.add(key="mark", value="old")
    take_metadata(other, model, without={SPEC_METADATA_KEY})
    assert [item.key for item in other.metadata_props] == ["author"]


def test_exposing_a_value_leaves_all_else_as_it_is():
    model = layers(4, 3, 3, 2)
    before = model.SerializeToString()
    shown = exposed(model, ["r0", "h1"])
    assert [item.name for item in shown.graph.output] == ["r0", "h1"]
    assert model.SerializeToString() == before
    del shown.graph.output[:]
    shown.graph.output.extend(model.graph.output)
    assert shown.SerializeToString() == before


def test_with_other_outputs_what_only_the_old_ones_needed_is_gone():
    model = layers(4, 3, 3, 2)
    set_outputs(model, [helper.make_tensor_value_info("r0", TensorProto.FLOAT, ["rows", 3])])
    assert [item.op_type for item in model.graph.node] == ["Gemm", "Relu"]
    assert {item.name for item in model.graph.initializer} == {"w0", "b0"}
    onnx.checker.check_model(model)


def test_inputs_and_outputs_are_values_too():
    x = np.ones((2, 4), dtype=np.float32)
    values = next(inner_values(layers(4, 3, 2), ["x", "r0", "y"], [{"x": x}]))
    assert np.array_equal(values["x"], x)
    assert [values[name].shape for name in ("r0", "y")] == [(2, 3), (2, 2)]
    assert np.array_equal(next(inner_values(layers(4, 3, 2), ["x"], [{"x": x}]))["x"], x)


@pytest.mark.parametrize("operator", ["QLinearConv", "MatMulInteger", "QGemm", "QAttention", "MatMulBnb4"])
def test_operators_on_codes_show_that_a_graph_was_quantized(operator):
    assert is_quantized(node(operator, ["x"], ["y"]))
    assert not is_quantized(node(operator.replace("QLinear", "").replace("Integer", "") + "Float", ["x"], ["y"]))
