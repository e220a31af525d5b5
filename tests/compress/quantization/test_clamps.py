"""A clamp is part of the codes only where they cannot leave its range, and what they compute is compared with FP32."""

import numpy as np
import onnx
import pytest
from onnx import helper

import edgefair.compress.quantization.placement as placement
from edgefair.compress.quantization.agreement import check_agreement, disagreements
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision, Quantizer, quantize_static
from edgefair.errors import ModelError
from tests.compress.graphs import graph, normal, pictures
from tests.compress.quantization.differential import session, unexplained
from tests.compress.quantization.random_graphs import LIMITS

RECIPE = CalibrationRecipe(name="test")
X = pictures(24)["x"]


def clamped(clamp, *, shared=False, behind="one", constant=True, shift=0.0):
    """A convolution (and a sum), a clamp, a convolution, a mean and a layer; the limits are constants or not."""
    rng = np.random.default_rng(0)
    node = helper.make_node
    limits = [None if value is None else np.float32(value) for value in clamp]
    weights = {
        "w0": normal(rng, 6, 3, 3, 3),
        "b0": normal(rng, 6, scale=0.3) + np.float32(shift),
        "w1": normal(rng, 6, 3, 3, 3),
        "w2": normal(rng, 4, 6, 1, 1),
        "w3": normal(rng, 4, 2),
    }
    names = []
    nodes = [node("Conv", ["x", "w0", "b0"], ["c0"], "one")]
    for side, value in zip(("low", "high"), limits, strict=True):
        names.append("" if value is None else side)
        if value is not None and constant:
            weights[side] = value
        elif value is not None:
            # Depends on the rows as far as anybody can tell.
            weights["nothing"], weights[f"{side}/value"] = np.float32(0), value
            nodes += [node("ReduceMean", ["x"], [f"{side}/mean"], keepdims=0)]
            nodes += [node("Mul", [f"{side}/mean", "nothing"], [f"{side}/zero"])]
            nodes += [node("Add", [f"{side}/zero", f"{side}/value"], [side])]
    while names and not names[-1]:
        names.pop()
    read = "c0"
    if behind == "sum":
        nodes += [node("Conv", ["x", "w1"], ["c1"], "other"), node("Add", ["c0", "c1"], ["s"], "sum")]
        read = "s"
    nodes += [
        node("Clip", [read, *names], ["k"], "clamp"),
        node("Conv", ["k", "w2"], ["c2"], "two"),
        node("GlobalAveragePool", [read if shared else "c2"], ["q"], "pool"),
        node("GlobalAveragePool", ["c2"], ["p"], "mean"),
        node("Flatten", ["p"], ["f"], "flat"),
        node("Gemm", ["f", "w3"], ["y" if not shared else "z"], "head"),
    ]
    if shared:
        nodes += [node("ReduceMean", ["q"], ["m"], "rest", keepdims=0), node("Add", ["z", "m"], ["y"], "end")]
    return graph(nodes, weights, x=(3, 8, 8), y=(2,))


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("how", ["plain", "sum", "shared", "computed"])
def test_whatever_the_limits_of_a_clip_int8_clips_as_fp32_does(limits, how):
    model = clamped(limits, behind="sum" if how == "sum" else "one", shared=how == "shared", constant=how != "computed")
    prepared = prepare_graph(model)
    ranges = calibrate(prepared, [{"x": X}], method="minmax")
    int8 = quantize_static(prepared, ranges, RECIPE, Precision(reduced_nodes=None))
    assert unexplained(model, prepared, ranges, int8, X) is None


@pytest.mark.parametrize("limits", [(0, 6), (None, 0), (-1e-4, 0), (0, 1e-4), (0, None)])
def test_a_clamp_that_gave_nothing_but_zero_on_calibration_rows_still_clamps(limits):
    side = -1 if limits[0] == 0 else 1
    prepared = prepare_graph(clamped(limits, shift=side * 40.0))
    ranges = calibrate(prepared, [{"x": X}], method="minmax")
    assert np.abs(ranges["k"]).max() <= 1e-4
    int8 = quantize_static(prepared, ranges, RECIPE)
    rows = {"x": -side * 200 * np.abs(X)}
    assert disagreements(prepared, int8, rows) == ()
    assert disagreements(prepared, int8, {"x": -rows["x"]}) == ()


@pytest.fixture
def folds_everything(monkeypatch):
    """The placement as if every clamp held zero."""
    monkeypatch.setattr(placement.Graph, "_holds_zero", lambda self, clamp: True)


@pytest.mark.usefixtures("folds_everything")
def test_a_clamp_that_was_folded_wrongly_is_found_on_four_rows_and_its_layer_put_back_into_float():
    model = clamped((1, None))
    prepared = prepare_graph(model)
    quantizer = Quantizer(prepared, calibrate(prepared, [{"x": X}], method="minmax"), RECIPE)
    rows = {"x": X[:4]}
    (found,) = disagreements(prepared, quantizer.quantize(Precision()), rows)
    assert (found.node, found.operator) == ("one", "Conv")
    with pytest.raises(ModelError, match=r"Conv 'one': 'k' is off by .*(?s:.*)report it"):
        check_agreement([found])
    quantizer.hold(Precision(), rows)
    assert list(quantizer.held) == ["one"]
    held = quantizer.quantize(Precision())
    assert disagreements(prepared, held, rows) == ()
    wanted, got = (session(item, fused=True).run(None, {"x": X})[0] for item in (model, held))
    assert np.abs(wanted - got).max() < 0.05 * np.abs(wanted).max()


@pytest.mark.usefixtures("folds_everything")
def test_a_sum_that_is_wrong_in_codes_is_computed_in_float_between_its_layers():
    prepared = prepare_graph(clamped((1, None), behind="sum"))
    quantizer = Quantizer(prepared, calibrate(prepared, [{"x": X}], method="minmax"), RECIPE)
    quantizer.hold(Precision(), {"x": X[:4]})
    assert list(quantizer.held) == ["sum"]
    held = quantizer.quantize(Precision())
    made_by = {name: node for node in held.graph.node for name in node.output}
    (clamp,) = (node for node in held.graph.node if node.name == "clamp")
    assert made_by[clamp.input[0]].name == "sum"


def spoiled(int8, change):
    model = onnx.ModelProto()
    model.CopyFrom(int8)
    change({item.name: item for item in model.graph.initializer}, {node.name: node for node in model.graph.node})
    return model


def other_weight(constants, _):
    value = onnx.numpy_helper.to_array(constants["w2/codes"])
    constants["w2/codes"].CopyFrom(onnx.numpy_helper.from_array(value[::-1].copy(), "w2/codes"))


def other_input(_, nodes):
    nodes["other"].input[0] = nodes["two"].output[0]


def other_stride(_, nodes):
    nodes["mean"].op_type = "GlobalMaxPool"


def other_bias(constants, _):
    value = onnx.numpy_helper.to_array(constants["one/bias/scale"])
    constants["one/bias/scale"].CopyFrom(onnx.numpy_helper.from_array(value * np.float32(1.5), "one/bias/scale"))


@pytest.mark.parametrize(
    ("change", "node"), [(other_weight, "two"), (other_stride, "mean"), (other_bias, "one"), (other_input, "other")]
)
def test_a_weight_a_bias_an_operator_or_an_input_that_is_another_one_is_found(change, node):
    prepared = prepare_graph(clamped((0, 6), behind="sum"))
    int8 = quantize_static(prepared, calibrate(prepared, [{"x": X}], method="minmax"), RECIPE)
    assert disagreements(prepared, int8, {"x": X[:4]}) == ()
    assert node in {item.node for item in disagreements(prepared, spoiled(int8, change), {"x": X[:4]})}
