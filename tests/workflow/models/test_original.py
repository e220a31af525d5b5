"""Whether a model was compressed is read from its operators, wherever they are."""

import onnx
import pytest
from onnx import TensorProto, helper

from edgefair.errors import UsageError
from edgefair.workflow.models.original import is_original
from tests.targets.onnx_models import classifier, saturating


def inside_a_branch(path):
    """An `If` whose one branch quantizes."""
    info = helper.make_tensor_value_info
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [1.0])
    steps = (("QuantizeLinear", ["x", "s"], "q"), ("DequantizeLinear", ["q", "s"], "c"), ("Identity", ["x"], "f"))
    quantize, dequantize, same = (helper.make_node(kind, given, [made]) for kind, given, made in steps)
    coarse = helper.make_graph([quantize, dequantize], "coarse", [], [info("c", TensorProto.FLOAT, None)])
    fine = helper.make_graph([same], "fine", [], [info("f", TensorProto.FLOAT, None)])
    node = helper.make_node("If", ["which"], ["y"], then_branch=coarse, else_branch=fine)
    inputs = [info("x", TensorProto.FLOAT, ["n"]), info("which", TensorProto.BOOL, [])]
    graph = helper.make_graph([node], "g", inputs, [info("y", TensorProto.FLOAT, None)], [scale])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_a_float_model_is_its_own_reference_claimed_or_not(tmp_path):
    path = classifier(tmp_path / "m.onnx")
    assert is_original(path)
    assert is_original(path, claimed=True)


@pytest.mark.parametrize("make", [saturating, inside_a_branch])
def test_a_quantized_model_is_not_and_the_claim_is_refused(tmp_path, make):
    path = make(tmp_path / "m.onnx")
    assert not is_original(path)
    with pytest.raises(UsageError, match="was passed with --uncompressed, but contains the operator QuantizeLinear"):
        is_original(path, claimed=True)
