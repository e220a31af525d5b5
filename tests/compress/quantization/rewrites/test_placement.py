"""Blocks of edge networks as integer kernels want them: the values stay, and nothing between layers goes to float."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgefair.compress.quantization.agreement import disagreements
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.placement import small_layers
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.rewrites.depthwise import AT_ONCE
from edgefair.compress.quantization.rewrites.pads import fold_pads
from edgefair.compress.quantization.static import Precision, Quantizer
from edgefair.graphs.inner_values import inner_values
from tests.compress.graphs import graph, normal, pictures

node = helper.make_node


def answers(model, rows):
    return next(inner_values(model, ["y"], [rows]))["y"]


def block(act, *, channels=16, side=8, gate="Sigmoid"):
    """Stem, 1x1, depthwise, squeeze-and-excite, 1x1, residual, mean, linear layer, with an activation in between."""
    rng, nodes = np.random.default_rng(0), []
    weights = {"axes": np.array([2, 3]), "six": np.float32(6), "zero": np.float32(0)}

    def conv(name, source, outputs, inputs, size=1, **options):
        weights[f"{name}_w"], weights[f"{name}_b"] = normal(rng, outputs, inputs, size, size), normal(rng, outputs)
        nodes.append(node("Conv", [source, f"{name}_w", f"{name}_b"], [name], name, pads=[size // 2] * 4, **options))

    def activated(name):
        if act == "SiLU":
            nodes.append(node("Sigmoid", [name], [f"{name}_s"], f"{name}_s"))
            nodes.append(node("Mul", [name, f"{name}_s"], [f"{name}_a"], f"{name}_a"))
        elif act == "Relu6":
            nodes.append(node("Clip", [name, "zero", "six"], [f"{name}_a"], f"{name}_a"))
        else:
            nodes.append(node(act, [name], [f"{name}_a"], f"{name}_a"))
        return f"{name}_a"

    conv("stem", "x", 16, 3, 3)
    conv("expand", activated("stem"), channels, 16)
    conv("deep", activated("expand"), channels, 1, 3, group=channels)
    deep = activated("deep")
    nodes.append(node("ReduceMean", [deep, "axes"], ["mean"], "mean", keepdims=1))
    conv("squeeze", "mean", 8, channels)
    conv("excite", activated("squeeze"), channels, 8)
    nodes.append(node(gate, ["excite"], ["gate"], "gate"))
    nodes.append(node("Mul", [deep, "gate"], ["scaled"], "scaled"))
    conv("project", "scaled", 16, channels)
    nodes.append(node("Add", ["project", "stem_a"], ["sum"], "sum"))
    conv("last", "sum", 16, 16)
    nodes.append(node("ReduceMean", ["last", "axes"], ["m"], "m", keepdims=0))
    weights["head_w"] = normal(rng, 2, 16)
    nodes.append(node("Gemm", ["m", "head_w"], ["y"], "head", transB=1))
    return graph(nodes, weights, x=(3, side, side), y=(2,))


def quantized(model, rows, **recipe):
    prepared = prepare_graph(model)
    quantizer = Quantizer(prepared, calibrate(prepared, [rows], method="minmax"), CalibrationRecipe(name="t", **recipe))
    return prepared, quantizer.quantize(Precision(float_nodes=small_layers(prepared)))


def operators_that_run(model, folder):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(folder / "run.onnx"), 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [item.op_type for item in onnx.load(folder / "run.onnx").graph.node]


@pytest.mark.parametrize("act", ["SiLU", "HardSwish", "Relu6", "LeakyRelu"])
@pytest.mark.parametrize("gate", ["Sigmoid", "HardSigmoid"])
def test_nothing_between_integer_layers_goes_to_float_and_back(act, gate, tmp_path):
    model, rows = block(act, gate=gate), pictures(16)
    prepared, made = quantized(model, rows)
    ran = operators_that_run(made, tmp_path)
    # The colours, which the first layer reads in float, and in float again what the mean in front of the head reads.
    assert ran.count("QuantizeLinear") == 1
    assert ran.count("DequantizeLinear") == 1
    behind = ran[ran.index("QuantizeLinear") : ran.index("DequantizeLinear")]
    assert not {"Conv", "FusedConv", "Sigmoid", "HardSigmoid", "ReduceMean", "Mul", "Add"} & set(behind)
    assert disagreements(prepared, made, rows) == ()
    wanted = answers(model, rows)
    assert np.abs(answers(made, rows) - wanted).max() < 0.1 * np.ptp(wanted)


def test_a_hard_sigmoid_of_other_numbers_is_found():
    prepared, made = quantized(block("HardSwish"), pictures(4))
    for item in made.graph.initializer:
        if item.name.endswith("/slope/scale"):
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item) * np.float32(1.2), item.name))
    assert {found.operator for found in disagreements(prepared, made, pictures(4))} == {"HardSigmoid"}


def test_a_product_without_a_gate_stays_in_float():
    rng = np.random.default_rng(0)
    nodes = [
        node("Conv", ["x", "w"], ["a"], "first", pads=[0] * 4),
        node("Mul", ["a", "a"], ["square"], "square"),
        node("Conv", ["square", "v"], ["y"], "second", pads=[0] * 4),
    ]
    model = graph(nodes, {"w": normal(rng, 8, 8, 1, 1), "v": normal(rng, 8, 8, 1, 1)}, x=(8, 4, 4), y=(8, 4, 4))
    _, made = quantized(model, {"x": normal(rng, 4, 8, 4, 4, scale=1.0)})
    made_by = {item.output[0]: item for item in made.graph.node}
    (square,) = (item for item in made.graph.node if item.op_type == "Mul")
    (read,) = (item for item in made.graph.node if square.output[0] in item.input)
    assert read.op_type == "QuantizeLinear"
    assert made_by[square.input[0]].op_type == "DequantizeLinear"


@pytest.mark.parametrize("act", ["SiLU", "HardSwish", "Relu6"])
def test_channels_that_kernels_take_one_by_one_are_filled_up_and_the_values_stay(act):
    model, rows = block(act, channels=72), pictures(4)
    prepared = prepare_graph(model)
    np.testing.assert_allclose(answers(prepared, rows), answers(model, rows), atol=1e-5)
    dims = {item.name: item.dims for item in prepared.graph.initializer}
    (deep,) = (item for item in prepared.graph.node if item.name == "deep")
    assert dims[deep.input[1]][0] == -(-72 // AT_ONCE) * AT_ONCE
    onnx.checker.check_model(prepared, full_check=True)
    kept = {item.name for item in prepare_graph(block(act, channels=64)).graph.initializer}
    assert {"expand_w", "deep_w", "project_w"} <= kept


@pytest.mark.parametrize("pads", [[0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 2, 0, 0, 0, 1, 3]])
@pytest.mark.parametrize("own", [None, [1, 0, 0, 2]])
def test_zeros_around_pictures_become_part_of_every_convolution_that_reads_them(pads, own):
    rng = np.random.default_rng(0)
    options = {"strides": [2, 2]} | ({} if own is None else {"pads": own})
    nodes = [
        node("Pad", ["x", "around", "fill"], ["p"], "pad"),
        node("Conv", ["p", "w"], ["a"], "first", **options),
        node("Conv", ["p", "v"], ["b"], "second", **options),
        node("Add", ["a", "b"], ["y"], "sum"),
    ]
    weights = {"w": normal(rng, 4, 3, 3, 3), "v": normal(rng, 4, 3, 3, 3), "around": np.array(pads)}
    model, rows = graph(nodes, {**weights, "fill": np.float32(0)}, x=(3, 8, 8), y=(4, "h", "w")), pictures(2)
    wanted = answers(model, rows)
    fold_pads(model)
    assert "Pad" not in {item.op_type for item in model.graph.node}
    np.testing.assert_array_equal(answers(model, rows), wanted)


@pytest.mark.parametrize("why", ["fill", "channels", "cut", "mode", "computed"])
def test_a_pad_that_is_more_than_zeros_around_pictures_stays(why):
    rng = np.random.default_rng(0)
    pads = {"channels": [0, 1, 0, 0, 0, 0, 0, 0], "cut": [0, 0, -1, 0, 0, 0, 0, 0]}.get(why, [0, 0, 1, 1, 0, 0, 1, 1])
    nodes = [
        node("Pad", ["x", "around", "fill"], ["p"], "pad", mode="reflect" if why == "mode" else "constant"),
        node("Conv", ["p", "w"], ["y"], "conv"),
    ]
    weights = {"w": normal(rng, 4, 4 if why == "channels" else 3, 3, 3), "around": np.array(pads)}
    model = graph(nodes, {**weights, "fill": np.float32(why == "fill")}, x=(3, 8, 8), y=(4, "h", "w"))
    if why == "computed":
        model.graph.node.insert(0, node("Identity", ["around"], ["computed"], "i"))
        model.graph.node[1].input[1] = "computed"
    before = model.SerializeToString()
    fold_pads(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("way", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("side", [7, 8])
def test_paddings_that_a_runtime_finds_are_written_out(way, side):
    rng = np.random.default_rng(0)
    nodes = [node("Conv", ["x", "w"], ["y"], "conv", auto_pad=way, strides=[2, 2])]
    model = graph(nodes, {"w": normal(rng, 4, 3, 5, 5)}, x=(3, side, side), y=(4, 4, 4))
    rows = pictures(2, side)
    wanted = answers(model, rows)
    fold_pads(model)
    assert {item.name for item in model.graph.node[0].attribute} == {"strides", "auto_pad", "pads"}
    np.testing.assert_array_equal(answers(model, rows), wanted)


def test_the_first_layers_of_a_network_of_pictures_are_left_to_the_choice():
    assert small_layers(prepare_graph(block("Relu6", channels=32))) == {"stem", "head"}
    narrow = block("Relu6")
    narrow.graph.node[4].input[0] = "stem_a"
    assert "deep" not in small_layers(prepare_graph(narrow)), "others read what it reads, as integers"
