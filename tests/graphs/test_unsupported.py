"""Nodes that kernels do not compute, or compute wrongly, are named with the reason."""

import numpy as np
import pytest
from onnx import TensorProto, helper, parser

from edgefair.graphs.byte_casts import widen_byte_casts
from edgefair.graphs.unsupported import unsupported
from edgefair.targets.support import ANYTHING, QNN, TENSORRT
from tests.compress.graphs import graph, layers
from tests.graphs.test_byte_casts import bytes_to_floats

node = helper.make_node


def said(model, support):
    return [str(item) for item in unsupported(model, support)]


def quantizer(zero, *, named="quantize"):
    """x, quantized with this zero point."""
    weights = {"scale": np.float32(0.1), "zero": zero}
    return graph(
        [node("QuantizeLinear", ["x", "scale", "zero"], ["c"], named),
         node("DequantizeLinear", ["c", "scale", "zero"], ["y"], "decode")],
        weights, x=(4,), y=(4,), opset=21,
    )  # fmt: skip


def test_a_cast_that_a_runtime_gets_wrong_is_named_wherever_it_stands():
    wrong = "from uint8 to float makes 0 or 1 of every byte"
    model = bytes_to_floats()
    assert said(model, QNN) == [f"Cast '{name}' {wrong}" for name in ("first", "second", "third")]
    assert said(model, QNN.beside_others()) == said(model, QNN)
    widen_byte_casts(model)
    assert said(model, QNN) == []


def test_a_type_that_few_operators_read_is_no_reason_against_these():
    assert said(bytes_to_floats(), TENSORRT) == ["Transpose 'moved' reads 'picture', which is uint8"]


def test_operators_that_are_not_there_are_a_reason_unless_another_provider_takes_them():
    text = """
        <ir_version: 8, opset_import: ["" : 18, "ai.onnx.ml" : 3]>
        trees (float[n, 2] x) => (float[n, 2] y) {
            scaled = ai.onnx.ml.Scaler (x)
            inside = BitShift <direction = "LEFT"> (scaled, scaled)
            y = Abs (inside)
        }
    """
    model = parser.parse_model(text)
    for support in (QNN, TENSORRT):
        assert said(model, support) == ["Scaler 'scaled' is not there", "BitShift 'inside' is not there"]
        assert said(model, support.beside_others()) == []
        assert said(layers(4, 8, 2), support) == []
    assert said(model, ANYTHING) == []


@pytest.mark.parametrize(
    ("zero", "why"),
    [
        (np.uint8(0), "has codes of uint8"),
        (np.uint16(7), "has codes of uint16"),
        (np.int8(3), "has a zero point that is not 0"),
        (np.int8(0), None),
    ],
)
def test_codes_are_those_that_kernels_take(zero, why):
    assert said(quantizer(zero), TENSORRT) == (
        [] if why is None else [f"QuantizeLinear 'quantize' {why}", f"DequantizeLinear 'decode' {why}"]
    )
    assert said(quantizer(zero), QNN) == []


def test_sizes_that_are_open_beside_the_rows_are_named_where_sizes_must_be_fixed():
    model = graph([node("Abs", ["x"], ["y"])], {}, x=("length",), y=("length",))
    assert said(model, QNN) == said(model, QNN.beside_others()) == ["input 'x' leaves a size open beside its rows"]
    assert said(model, TENSORRT) == []


def test_what_is_not_known_of_a_type_is_no_reason():
    nodes = [
        node("Strange", ["x"], ["s"], "strange", domain="com.microsoft"),
        node("Cast", ["s"], ["y"], "cast", to=TensorProto.FLOAT),
    ]
    model = graph(nodes, {}, x=(4,), y=(4,))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert said(model, QNN) == said(model, TENSORRT) == []
