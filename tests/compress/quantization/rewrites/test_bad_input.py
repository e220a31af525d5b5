"""Networks and rows that quantization meets and would rather not: right numbers, or a clear message."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.compress.quantization.agreement import disagreements
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph, unquantizable_nodes
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision, Quantizer
from edgefair.errors import ModelError
from edgefair.exporters.checked import read_model
from edgefair.graphs.inner_values import inner_values
from tests.compress.graphs import graph, layers, normal, pictures, residual, tokens

node = helper.make_node
ROWS = np.random.default_rng(0).normal(size=(32, 16)).astype(np.float32)


def weight(model, name):
    return next(item for item in model.graph.initializer if item.name == name)


def changed(model, name, change):
    item = weight(model, name)
    value = numpy_helper.to_array(item).copy()
    change(value)
    item.CopyFrom(numpy_helper.from_array(value, name))
    return model


def quantized(model, x):
    prepared = prepare_graph(model)
    ranges = calibrate(prepared, [{"x": x}], method="minmax")
    made = Quantizer(prepared, ranges, CalibrationRecipe(name="t")).quantize(Precision())
    assert disagreements(prepared, made, {"x": x[:4]}) == ()
    return made


def off(model, made, x):
    """The largest difference of an answer, as a share of the largest answer."""
    wanted, found = (next(inner_values(item, ["y"], [{"x": x}]))["y"] for item in (model, made))
    assert np.isfinite(found).all()
    return np.abs(found - wanted).max() / np.abs(wanted).max()


def test_dead_channels_cost_nothing():
    model = residual()
    for name in ("w1", "b1"):
        changed(model, name, lambda value: value.__setitem__(slice(2, 5), 0))
    x = pictures(16)["x"]
    assert off(model, quantized(model, x), x) < 0.05


def test_a_weight_with_nan_stays_in_float_by_name_and_its_answers_are_refused():
    model = changed(layers(16, 64, 4), "w1", lambda value: value.__setitem__((0, 0), np.nan))
    assert unquantizable_nodes(prepare_graph(model)) == {"layer1": "its weight is not finite"}
    first = changed(layers(16, 64, 4), "w0", lambda value: value.__setitem__((0, 0), np.nan))
    with pytest.raises(ModelError, match="is not finite on calibration rows"):
        calibrate(prepare_graph(first), [{"x": ROWS}], method="minmax")


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_one_calibration_row_gives_ranges_of_that_row(method):
    model = layers(16, 64, 4)
    prepared = prepare_graph(model)
    ranges = calibrate(prepared, [{"x": ROWS[:1]}], method=method)
    assert all(np.isfinite(item).all() and item[0] <= item[1] for item in ranges.values())
    made = Quantizer(prepared, ranges, CalibrationRecipe(name="t")).quantize(Precision())
    # Entropy cuts off more of few values than of many.
    assert off(model, made, ROWS[:1]) < (0.4 if method == "entropy" else 0.1)


@pytest.mark.parametrize("constant", [0.0, 3.0, -3.0, 1e-30])
def test_an_activation_that_never_changes_has_codes_of_its_one_number(constant):
    model = changed(changed(layers(16, 64, 32, 4), "w0", lambda value: value.fill(0)), "b0", lambda b: b.fill(constant))
    assert off(model, quantized(model, ROWS), ROWS) < 0.05


def test_indices_are_no_activations():
    """Moved, joined and taken as numbers of rows, and only then looked up."""
    model = tokens()
    moved = [
        node("Reshape", ["x", "shape"], ["column"], "column"),
        node("Concat", ["column", "column"], ["twice"], "twice", axis=1),
        node("Slice", ["twice", "start", "end", "axis"], ["ids"], "ids"),
    ]
    for name, value in {"shape": [0, 6], "start": [0], "end": [6], "axis": [1]}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    model.graph.node[0].input[1] = "ids"
    nodes = [*moved, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    x = np.random.default_rng(0).integers(0, 2000, (32, 6))
    made = quantized(model, x)
    assert off(model, made, x) < 0.05
    floats = {item.input[0] for item in made.graph.node if item.op_type == "QuantizeLinear"}
    assert not floats & {"x", "column", "twice", "ids"}


def tied(rows=2000, width=40):
    """Ids -> embedding -> a layer -> the same table as the last layer's weight."""
    rng = np.random.default_rng(0)
    nodes = [
        node("Gather", ["table", "x"], ["e"], "embedding"),
        node("MatMul", ["e", "w"], ["h"], "each"),
        node("MatMul", ["h", "w"], ["g"], "again"),
        node("ReduceMean", ["g", "axes"], ["m"], "mean", keepdims=0),
        node("Gemm", ["m", "table"], ["y"], "head", transB=1),
    ]
    weights = {"table": normal(rng, rows, width), "w": normal(rng, width, width), "axes": np.array([1])}
    return graph(nodes, weights, x=(6,), y=(rows,), kind=TensorProto.INT64)


def test_weights_that_layers_share_are_quantized_once_and_give_the_right_numbers():
    model, x = tied(), np.random.default_rng(0).integers(0, 2000, (32, 6))
    made = quantized(model, x)
    assert off(model, made, x) < 0.05
    codes = [item for item in made.graph.initializer if item.data_type == TensorProto.INT8 and len(item.dims) == 2]
    assert sorted(list(item.dims) for item in codes) == [[40, 40], [2000, 40]]
    assert len(made.SerializeToString()) < 0.4 * len(model.SerializeToString())


def normalized(outputs=("n",), **attributes):
    nodes = [
        node("BatchNormalization", ["x", "s", "b", "m", "v"], outputs, "norm", **attributes),
        node("Conv", ["n", "w"], ["y"], "conv"),
    ]
    rng = np.random.default_rng(0)
    weights = {name: np.ones(3, dtype=np.float32) for name in "sbmv"} | {"w": normal(rng, 4, 3, 1, 1)}
    return graph(nodes, weights, x=(3, 8, 8), y=(4, 8, 8))


@pytest.mark.parametrize(
    ("name", "number", "said"),
    [
        ("w", np.nan, r"'w', a weight of Conv 'conv', has NaN in 1 of 12 numbers"),
        ("w", -np.inf, r"'w', a weight of Conv 'conv', has infinity in 1 of 12 numbers"),
        ("m", np.nan, r"'m', a weight of BatchNormalization 'norm', has NaN in 1 of 3 numbers"),
        ("v", -1.0, r"'v', a weight of BatchNormalization 'norm', has negative variances"),
    ],
)
def test_a_file_whose_weights_make_every_answer_nan_is_refused_and_names_the_weight(tmp_path, name, number, said):
    onnx.save_model(changed(normalized(), name, lambda value: value.flat.__setitem__(1, number)), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=said):
        read_model(tmp_path / "m.onnx")
    onnx.save_model(changed(normalized(), "v", lambda value: value.fill(0)), tmp_path / "m.onnx")
    read_model(tmp_path / "m.onnx")


def ruled_out(number):
    """A linear layer, and a bias of its two classes."""
    nodes = [node("MatMul", ["x", "w"], ["h"], "layer"), node("Add", ["h", "b"], ["y"], "bias")]
    weights = {"w": np.ones((3, 2), dtype=np.float32), "b": np.array([0, number], dtype=np.float32)}
    return graph(nodes, weights, x=(3,), y=(2,))


def test_a_bias_that_is_no_number_is_named_and_one_that_rules_out_a_class_is_allowed(tmp_path):
    onnx.save_model(ruled_out(np.nan), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"'b', a weight of Add 'bias', has NaN in 1 of 2 numbers"):
        read_model(tmp_path / "m.onnx")
    onnx.save_model(ruled_out(-np.inf), tmp_path / "m.onnx")
    read_model(tmp_path / "m.onnx")


def test_a_batch_normalization_in_training_mode_is_refused(tmp_path):
    onnx.save_model(normalized(("n", "m1", "v1"), training_mode=1), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"'norm' of '.*m\.onnx' is in training mode") as caught:
        read_model(tmp_path / "m.onnx")
    assert ".eval()" in caught.value.fix
