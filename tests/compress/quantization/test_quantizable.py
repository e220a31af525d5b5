import contextlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, parser

from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.fp16 import to_float16
from edgefair.compress.quantization.prepare import (
    DYNAMIC,
    STATIC,
    check_quantizable,
    embedding_nodes,
    prepare_graph,
    quantizable_nodes,
)
from edgefair.compress.quantization.recipe import open_recipe
from edgefair.compress.quantization.static import Quantizer
from edgefair.errors import ModelError
from edgefair.graphs.byte_casts import byte_casts, widen_byte_casts
from tests.compress.graphs import graph, layers, normal, residual, tokens
from tests.graphs.test_byte_casts import bytes_to_floats

node = helper.make_node
RECIPE = open_recipe("int8-balanced")


def test_every_node_gets_a_name_of_its_own_and_a_second_preparation_changes_nothing():
    model = residual()
    for item in model.graph.node:
        item.name = "same" if item.op_type == "Relu" else ""
    prepared = prepare_graph(model)
    names = [item.name for item in prepared.graph.node]
    assert all(names)
    assert len(set(names)) == len(names)
    assert prepare_graph(prepared).SerializeToString() == prepared.SerializeToString()
    assert prepare_graph(model).SerializeToString() == prepared.SerializeToString()


def test_bytes_go_on_becoming_floats_by_way_of_int32():
    model = bytes_to_floats()
    widen_byte_casts(model)
    assert byte_casts(prepare_graph(model)) == ()
    # A file that an older version exported gets there too.
    assert byte_casts(prepare_graph(bytes_to_floats())) == ()


def test_shapes_that_cannot_be_inferred_leave_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The last window would begin beyond the input: onnx counts it, onnxruntime does not.
    pool = node("AveragePool", ["x"], ["p"], "pool", ceil_mode=1, kernel_shape=[1, 1], strides=[2, 2])
    nodes = [pool, node("Flatten", ["p"], ["f"], "flat"), node("Gemm", ["f", "w"], ["y"], "layer")]
    with contextlib.suppress(ModelError):
        prepare_graph(graph(nodes, {"w": np.ones((8, 2), np.float32)}, x=(2, 4, 4), y=(2,)))
    assert list(tmp_path.iterdir()) == []


def test_layers_with_a_constant_weight_are_named_in_graph_order():
    assert quantizable_nodes(prepare_graph(residual())) == ("stem", "first", "second", "last", "head")
    assert quantizable_nodes(prepare_graph(tokens())) == ("each", "head")
    assert embedding_nodes(prepare_graph(tokens())) == ("embedding",)
    assert embedding_nodes(prepare_graph(tokens(vocabulary=20))) == ()


def test_a_product_of_two_activations_is_no_layer():
    product = graph(
        [node("MatMul", ["x", "x"], ["h"]), node("MatMul", ["h", "w"], ["y"])],
        {"w": np.eye(4, dtype=np.float32)},
        x=(4,),
        y=(4,),
    )
    product.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    assert len(quantizable_nodes(prepare_graph(product))) == 1


def test_only_the_operators_domains_that_are_used_stay():
    assert {item.domain for item in prepare_graph(layers(4, 8, 2)).opset_import} == {""}


def with_node(*nodes):
    model = layers(4, 4)
    model.graph.node.extend(nodes)
    return model


def with_opsets(*opsets):
    model = layers(4, 4)
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in opsets)
    return model


def branch(name):
    return helper.make_graph(
        [node("Identity", ["y"], [name])], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)]
    )


REFUSED = {
    "is already quantized: node 'q' is a QuantizeLinear": with_node(node("QuantizeLinear", ["y", "b0"], ["z"], "q")),
    "is already quantized: node 'c' is a QLinearConv": with_node(node("QLinearConv", ["y"] * 8, ["z"], "c")),
    "is already quantized: node 'm' is a MatMulInteger": with_node(node("MatMulInteger", ["y", "y"], ["z"], "m")),
    "has control flow: node 'i' is an If": with_node(
        node("If", ["t"], ["z"], "i", then_branch=branch("a"), else_branch=branch("b"))
    ),
    "'c' is the custom operator my.domain.Mine": with_node(node("Mine", ["y"], ["z"], "c", domain="my.domain")),
    "mixes the opsets 13, 20": with_opsets(("", 20), ("ai.onnx", 13)),
    "the graph has opset 10": with_opsets(("", 10)),
    "nothing to quantize": graph([node("Relu", ["x"], ["y"])], {}, x=(2,), y=(2,)),
}


@pytest.mark.parametrize("found", REFUSED)
def test_what_cannot_be_quantized_is_refused_before_anything_is_done(found):
    for refuse in (lambda model: check_quantizable(model, STATIC), prepare_graph):
        with pytest.raises(ModelError) as error:
            refuse(REFUSED[found])
        assert found in str(error.value)
        assert error.value.fix


def test_an_old_opset_is_refused_by_what_it_lacks_and_by_nothing_else():
    old = with_opsets(("", 12))
    old.ir_version = 7
    prepared = prepare_graph(old)
    assert to_float16(prepared).graph.node
    assert quantize_dynamic(prepared, reduce_range=False).graph.node
    for static in (lambda: check_quantizable(old, STATIC), lambda: Quantizer(prepared, {}, RECIPE)):
        with pytest.raises(ModelError) as error:
            static()
        assert "the graph has opset 12" in str(error.value)
        assert error.value.expected == "opset 13 or newer, as static INT8 needs"


def test_convolutions_are_not_quantized_dynamically():
    model = graph(
        [node("Conv", ["x", "w"], ["y"])], {"w": normal(np.random.default_rng(0), 1, 1, 3, 3)}, x=(1, 4, 4), y=(1, 2, 2)
    )
    check_quantizable(model, STATIC)
    with pytest.raises(ModelError, match="--int8 static"):
        check_quantizable(model, DYNAMIC)


def test_functions_of_the_model_itself_are_no_custom_operators():
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 20, "mine" : 1]>
        g (float[rows, 2] x) => (float[rows, 2] y) <float[2, 2] w = {1, 2, 3, 4}> { y = mine.line(x, w) }
        <domain: "mine", opset_import: ["" : 20]>
        line (x, w) => (y) { h = MatMul(x, w)  y = Relu(h) }
    """)
    onnx.checker.check_model(model)
    assert len(quantizable_nodes(prepare_graph(model))) == 1
