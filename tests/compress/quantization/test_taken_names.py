"""Whatever names a graph has, what is written beside them gets others, and the numbers stay."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.fp16 import to_float16
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import quantize_static
from edgefair.graphs.editor import Editor, decision_by_threshold
from edgefair.graphs.names import Names
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, Reading
from tests.compress.graphs import graph as graph_of
from tests.compress.graphs import normal
from tests.compress.quantization.differential import session, unexplained

RECIPE = CalibrationRecipe(name="test")
# What the writers make of the names below, and of each other's.
TAKEN = (
    "dense/bias", "dense/bias/scale", "dense/bias/codes", "xs/scale", "xs/zero", "xs/codes", "xs/dequantized",
    "xs/quantize", "w0/scale", "w0/codes", "w0/dequantized", "r/float", "r/codes", "w0_half", "h_half", "x_float",
    "xs_scale", "xs_quantized", "xs_zero_point", "w0_scale", "w0_quantized", "w0_zero_point", "h_output_quantized",
    "dense_MatMul", "h_MatMul", "dense_Add", "dense_MatMul_quant", "xs_QuantizeLinear", "dense_MatMul_quant_scales_mul",
)  # fmt: skip


def named(taken, place):
    """A scaled input, two layers; one of its constants, values or nodes has the name."""
    rng = np.random.default_rng(0)
    names = {
        "scale": "s",
        "scaled": "xs",
        "bias": "b0",
        "hidden": "h",
        "node": "dense",
        "x": "x",
        "act": "act",
        place: taken,
    }
    nodes = [
        helper.make_node("Mul", [names["x"], names["scale"]], [names["scaled"]], "norm"),
        helper.make_node("Gemm", [names["scaled"], "w0", names["bias"]], [names["hidden"]], names["node"]),
        helper.make_node("Relu", [names["hidden"]], ["r"], names["act"]),
        helper.make_node("Gemm", ["r", "w1", "b1"], ["y"], "head"),
    ]
    weights = {"w0": normal(rng, 16, 16), "w1": normal(rng, 16, 2), "b1": normal(rng, 2)}
    weights |= {names["scale"]: np.float32(0.5), names["bias"]: normal(rng, 16)}
    model = graph_of(nodes, weights, x=(16,), y=(2,))
    model.graph.input[0].name = names["x"]
    onnx.checker.check_model(model, full_check=True)
    return model, names["x"], rng.normal(size=(40, 16)).astype(np.float32)


@pytest.mark.parametrize("place", ["scale", "bias", "scaled", "hidden", "node", "x", "act"])
@pytest.mark.parametrize("taken", TAKEN)
def test_a_graph_that_has_the_names_of_our_writers_is_compressed_like_any_other(taken, place):
    model, name, x = named(taken, place)
    prepared = prepare_graph(model)
    feeds = {name: x}
    wanted = session(model, fused=False).run(None, feeds)[0]
    allowed = 0.05 * np.abs(wanted).max()
    for made in (
        quantize_static(prepared, calibrate(prepared, [feeds], method="minmax"), RECIPE),
        quantize_dynamic(prepared, reduce_range=True),
        to_float16(prepared),
    ):
        onnx.checker.check_model(made, full_check=True)
        assert [item.name for item in made.graph.input] == [name]
        assert np.abs(session(made, fused=True).run(["y"], feeds)[0] - wanted).max() < allowed


def test_a_value_with_the_name_of_a_layers_bias_has_a_scale_of_its_own():
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["dense/bias"], "before"),
        helper.make_node("Relu", ["dense/bias"], ["w2"], "act"),
        helper.make_node("Gemm", ["w2", "w1", "b1"], ["dense/bias/scale"], "dense"),
        helper.make_node("Gemm", ["dense/bias/scale", "w3", "b1"], ["y"], "end"),
    ]
    weights = {"w0": normal(rng, 8, 8), "b0": normal(rng, 8), "w1": normal(rng, 8, 8), "w3": normal(rng, 8, 8)}
    model = graph_of(nodes, {**weights, "b1": normal(rng, 8)}, x=(8,), y=(8,))
    x = rng.normal(size=(40, 8)).astype(np.float32)
    prepared = prepare_graph(model)
    ranges = calibrate(prepared, [{"x": x}], method="minmax")
    assert unexplained(model, prepared, ranges, quantize_static(prepared, ranges, RECIPE), x) is None


def test_two_inputs_of_which_one_is_named_after_the_other_stay_both_through_dynamic_int8():
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "layer"),
        helper.make_node("Mul", ["h", "x_scale"], ["y"], "scaled"),
    ]
    model = graph_of(nodes, {"w": normal(rng, 6, 3)}, x=(6,), y=(3,))
    model.graph.input.append(helper.make_tensor_value_info("x_scale", TensorProto.FLOAT, ["rows", 3]))
    made = quantize_dynamic(model, reduce_range=True)
    assert [item.name for item in made.graph.input] == ["x", "x_scale"]
    feeds = {"x": rng.normal(size=(1, 6)).astype(np.float32), "x_scale": rng.normal(size=(1, 3)).astype(np.float32)}
    wanted, found = (session(item, fused=True).run(None, feeds)[0] for item in (model, made))
    assert np.abs(wanted - found).max() < 0.1


@pytest.mark.parametrize("feature", ["score", "decision", "post_gather_0"])
def test_a_threshold_in_the_graph_leaves_a_feature_of_its_outputs_names(feature):
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gemm", [feature, "w"], ["score" if feature == "decision" else "h"], "layer"),
        helper.make_node("Softmax", ["score" if feature == "decision" else "h"], ["y"], "end"),
    ]
    model = graph_of(nodes, {"w": normal(rng, 4, 2)}, x=(4,), y=(2,))
    model.graph.input[0].name = feature
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1), "post_constant_0"))
    spec = ModelSpec((InputSpec(feature, "float32", array=feature),), Reading("y", "probabilities"), ("no", "yes"))
    editor = Editor(model, spec)
    made, told = editor.finished(decision_by_threshold(editor, "y", 0.3), "y", 0.3)
    x = rng.normal(size=(50, 4)).astype(np.float32)
    (wanted,) = session(model, fused=False).run(None, {feature: x})
    decision, score = session(made, fused=True).run([told.reading.output, told.reading.score], {feature: x})
    assert np.allclose(score, wanted, atol=1e-6)
    assert (decision == (wanted[:, 1] >= 0.3)).all()
    assert feature not in {told.reading.output, told.reading.score}


def test_names_in_branches_are_taken_too():
    branch = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["v/scale"], "inside")],
        "branch",
        [],
        [helper.make_tensor_value_info("v/scale", TensorProto.FLOAT, None)],
    )
    model = graph_of(
        [helper.make_node("If", ["c"], ["y"], "if", then_branch=branch, else_branch=branch)],
        {"c": np.array(True)},
        x=(2,),
        y=(2,),
    )
    names = Names.of(model)
    assert names.fresh("v/scale") == "v/scale_0"
    assert names.fresh("v/scale") == "v/scale_1"
    assert names.fresh("inside") == "inside_0"
    assert names.fresh("free") == "free"
    assert names.numbered("if") == "if_0"
