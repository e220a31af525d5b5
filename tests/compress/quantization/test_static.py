import contextlib
import io
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.placement import small_layers
from edgefair.compress.quantization.prepare import prepare_graph, quantizable_nodes
from edgefair.compress.quantization.recipe import CalibrationRecipe, open_recipe
from edgefair.compress.quantization.static import Precision, Quantizer, quantize_static
from edgefair.errors import ModelError
from tests.compress.graphs import graph, layers, normal, pictures, post_norm, residual, tokens

RECIPE = CalibrationRecipe(name="test")
RESIDUAL = prepare_graph(residual())
LAYERS = quantizable_nodes(RESIDUAL)
RANGES = calibrate(RESIDUAL, [pictures(64)], method="minmax")
QUANTIZER = Quantizer(RESIDUAL, RANGES, RECIPE)

SCRIPT = """
import hashlib
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.static import Precision, quantize_static
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.recipe import CalibrationRecipe
from tests.compress.graphs import pictures, residual

prepared = prepare_graph(residual())
ranges = calibrate(prepared, [pictures(40), pictures(24, seed=2)], method="entropy")
precision = Precision(float_nodes=frozenset({"first", "last"}), reduced_nodes=frozenset({"stem", "second"}))
model = quantize_static(prepared, ranges, CalibrationRecipe(name="test"), precision)
print(hashlib.sha256(model.SerializeToString()).hexdigest())
"""


def run(model, feeds, **options):
    settings_ = onnxruntime.SessionOptions()
    settings_.log_severity_level = 3
    for name, value in options.items():
        setattr(settings_, name, value)
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings_, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def kernels(model, tmp_path):
    """Operators of the graph that onnxruntime really runs."""
    run(model, {item.name: np.zeros([1, *shape(item)], dtype=kind(item)) for item in model.graph.input},
        optimized_model_filepath=str(tmp_path / "run.onnx"))  # fmt: skip
    return Counter(node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node)


def shape(item):
    return [dim.dim_value for dim in item.type.tensor_type.shape.dim[1:]]


def kind(item):
    return helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type)


def made_by(model):
    return {name: node for node in model.graph.node for name in node.output}


def constant(model, name):
    return numpy_helper.to_array(next(item for item in model.graph.initializer if item.name == name))


def codes(model, layer):
    """The stored weight of a layer; in float if it is not quantized."""
    node = next(node for node in model.graph.node if node.name == layer)
    decode = made_by(model).get(node.input[1])
    return constant(model, node.input[1] if decode is None else decode.input[0])


def error(model, reference=RESIDUAL, feeds=None):
    feeds = pictures(200, seed=9) if feeds is None else feeds
    return float(np.square(run(model, feeds) - run(reference, feeds)).mean())


@settings(max_examples=15, deadline=None)
@given(st.sets(st.sampled_from(LAYERS), max_size=len(LAYERS) - 1))
def test_whatever_layers_are_float_the_graph_is_valid_and_near_the_float_one(chosen):
    model = QUANTIZER.quantize(Precision(float_nodes=frozenset(chosen)))
    spread = float(run(RESIDUAL, pictures(200, seed=9)).var())
    assert error(model) < 0.01 * spread
    assert {name for name in LAYERS if codes(model, name).dtype == np.int8} == set(LAYERS) - chosen


def test_a_layer_in_float_is_an_island_no_pair_is_left_around_it_or_its_relu():
    model = QUANTIZER.quantize(Precision(float_nodes=frozenset({"stem", "first"})))
    makers = made_by(model)
    assert next(node for node in model.graph.node if node.name == "stem").input[0] == "x"
    first = next(node for node in model.graph.node if node.name == "first")
    assert makers[first.input[0]].op_type == "Relu"
    assert makers[makers[first.input[0]].input[0]].name == "stem"
    second = next(node for node in model.graph.node if node.name == "second")
    assert makers[makers[makers[second.input[0]].input[0]].input[0]].name == "first_relu"


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_in_float_is_in_float_when_it_runs(tmp_path, name):
    found = kernels(QUANTIZER.quantize(Precision(float_nodes=frozenset({name}))), tmp_path)
    assert found["QLinearConv"] + found["QGemm"] == len(LAYERS) - 1
    assert found["Conv"] + found["FusedConv"] + found["Gemm"] == 1


@pytest.mark.parametrize("groups", [1, 2])
def test_a_grouped_or_transposed_convolution_between_int8_layers_runs_in_float_too(tmp_path, groups):
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["h0"], "before"),
        helper.make_node("Conv", ["h0", "w1"], ["h1"], "between", group=groups),
        helper.make_node("Conv", ["h1", "w2"], ["h2"], "after"),
        helper.make_node("ConvTranspose", ["h2", "w3"], ["h3"], "transposed", group=groups),
        helper.make_node("Conv", ["h3", "w4"], ["y"], "end"),
    ]
    weights = {
        "w0": normal(rng, 4, 3, 1, 1),
        "w1": normal(rng, 4, 4 // groups, 1, 1),
        "w2": normal(rng, 4, 4, 1, 1),
        "w3": normal(rng, 4, 4 // groups, 1, 1),
        "w4": normal(rng, 3, 4, 1, 1),
    }
    prepared = prepare_graph(graph(nodes, weights, x=(3, 5, 5), y=(3, 5, 5)))
    feeds = pictures(20, side=5)
    ranges = calibrate(prepared, [feeds], method="minmax")
    model = quantize_static(prepared, ranges, RECIPE, Precision(float_nodes=frozenset({"between"})))
    found = kernels(model, tmp_path)
    assert found["QLinearConv"] == 3
    assert found["Conv"] == found["ConvTranspose"] == 1
    assert error(model, prepared, feeds) < 0.01 * float(run(prepared, feeds).var())


def test_nothing_between_int8_layers_is_done_in_float(tmp_path):
    found = kernels(QUANTIZER.quantize(Precision()), tmp_path)
    assert found["QLinearConv"] == 4
    assert found["QLinearAdd"] == found["QGemm"] == 1
    assert found["QuantizeLinear"] == 2
    assert found["DequantizeLinear"] == 1
    assert not found & Counter(["Conv", "FusedConv", "Add", "Relu", "Clip", "Gemm", "FusedGemm", "MatMul"])


@pytest.mark.parametrize("float_nodes", [(), ("layer1",), ("layer1", "layer2"), ("layer0",), ("layer0", "layer2")])
def test_an_int8_layer_beside_one_in_float_still_has_an_int8_kernel(tmp_path, float_nodes):
    prepared = prepare_graph(layers(16, 16, 16, 4))
    feeds = {"x": np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)}
    ranges = calibrate(prepared, [feeds], method="minmax")
    found = kernels(quantize_static(prepared, ranges, RECIPE, Precision(float_nodes=frozenset(float_nodes))), tmp_path)
    assert found["QGemm"] == 3 - len(float_nodes)
    assert found["Gemm"] + found["FusedGemm"] == len(float_nodes)


def test_the_error_is_no_larger_than_that_of_onnxruntimes_quantizer(tmp_path):
    from onnxruntime.quantization import CalibrationDataReader, QuantType
    from onnxruntime.quantization import quantize_static as peer

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rest = iter([pictures(64)])

        def get_next(self):
            return next(self.rest, None)

    onnx.save(RESIDUAL, tmp_path / "fp32.onnx")
    with contextlib.redirect_stdout(io.StringIO()):
        peer(str(tmp_path / "fp32.onnx"), str(tmp_path / "peer.onnx"), Reader(), per_channel=True,
             activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)  # fmt: skip
    assert error(QUANTIZER.quantize(Precision())) <= 1.1 * error(onnx.load(tmp_path / "peer.onnx"))


def test_seven_bits_and_unsigned_weights_are_for_the_named_layers_only():
    model = QUANTIZER.quantize(Precision(reduced_nodes=frozenset({"first"}), unsigned_nodes=frozenset({"second"})))
    assert np.abs(codes(model, "first")).max() == 64
    assert np.abs(codes(model, "last")).max() == 127
    assert codes(model, "second").dtype == np.uint8
    every = QUANTIZER.quantize(Precision(reduced_nodes=None))
    assert max(np.abs(codes(every, name).astype(int)).max() for name in LAYERS) == 64


def test_unsigned_weights_are_the_same_weights():
    signed = QUANTIZER.quantize(Precision())
    unsigned = QUANTIZER.quantize(Precision(unsigned_nodes=frozenset(LAYERS)))
    for name in LAYERS:
        assert np.array_equal(codes(unsigned, name).astype(int) - 128, codes(signed, name))
    feeds = pictures(50, seed=3)
    assert np.array_equal(run(signed, feeds), run(unsigned, feeds))


def test_four_bits_leave_fifteen_values():
    model = quantize_static(RESIDUAL, RANGES, CalibrationRecipe(name="test", weight_bits=4))
    assert {int(np.abs(codes(model, name).astype(int)).max()) for name in LAYERS} == {7}
    assert error(model) > 10 * error(QUANTIZER.quantize(Precision()))


def test_one_scale_for_all_channels_where_the_recipe_says_so():
    model = quantize_static(RESIDUAL, RANGES, CalibrationRecipe(name="test", weights="per-tensor"))
    assert error(model) < 0.02 * float(run(RESIDUAL, pictures(200, seed=9)).var())
    assert {constant(model, f"w{index}/scale").shape for index in range(4)} == {()}


def test_a_large_bias_of_a_channel_that_is_almost_nothing_survives():
    model = layers(4, 3)
    weight, bias = (numpy_helper.to_array(item).copy() for item in model.graph.initializer)
    weight[0], weight[1], bias[:] = 1e-12, 0, (50.0, -20.0, 3.0)
    for item, value in zip(model.graph.initializer, (weight, bias), strict=True):
        item.CopyFrom(numpy_helper.from_array(value, item.name))
    prepared = prepare_graph(model)
    feeds = {"x": np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)}
    small = quantize_static(prepared, calibrate(prepared, [feeds], method="minmax"), RECIPE)
    assert np.abs(run(small, feeds) - run(prepared, feeds)).max() < 0.1


def test_layers_may_share_a_weight_and_differ_in_precision():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "one"),
        helper.make_node("Tanh", ["h"], ["t"], "tanh"),
        helper.make_node("MatMul", ["t", "w"], ["y"], "two"),
    ]
    prepared = prepare_graph(graph(nodes, {"w": normal(np.random.default_rng(0), 6, 6)}, x=(6,), y=(6,)))
    feeds = {"x": np.random.default_rng(1).normal(size=(64, 6)).astype(np.float32)}
    quantizer = Quantizer(prepared, calibrate(prepared, [feeds], method="minmax"), RECIPE)
    both = quantizer.quantize(Precision())
    assert sum(item.name.endswith("/codes") for item in both.graph.initializer) == 1
    mixed = quantizer.quantize(Precision(float_nodes=frozenset({"one"}), reduced_nodes=frozenset({"two"})))
    assert np.array_equal(codes(mixed, "one"), constant(prepared, "w"))
    assert np.abs(codes(mixed, "two")).max() == 64
    apart = quantizer.quantize(Precision(reduced_nodes=frozenset({"two"})))
    assert np.abs(codes(apart, "one")).max() == 127
    for model in (both, mixed, apart):
        assert np.abs(run(model, feeds) - run(prepared, feeds)).max() < 0.1


def test_an_embedding_is_stored_in_bytes_and_no_row_suffers_from_anothers_size():
    prepared = prepare_graph(tokens())
    feeds = {"x": np.random.default_rng(0).integers(0, 2000, size=(300, 6))}
    quantizer = Quantizer(prepared, calibrate(prepared, [feeds], method="minmax"), RECIPE)
    model = quantizer.quantize(Precision(float_nodes=frozenset({"each"})))
    assert model.ByteSize() < 0.35 * prepared.ByteSize()
    table = constant(prepared, "table")
    decoded = constant(model, "table/rows") * constant(model, "table/row_scales")
    assert np.all(np.abs(decoded - table) <= 0.51 * np.abs(table).max(axis=1, keepdims=True) / 127)
    plain = quantizer.quantize(Precision(float_nodes=frozenset({"embedding"})))
    assert "table" in {item.name for item in plain.graph.initializer}
    assert np.abs(run(model, feeds) - run(prepared, feeds)).max() < 0.1


def test_for_tensorrt_pairs_are_symmetric_and_in_front_of_layers_only():
    model = quantize_static(RESIDUAL, RANGES, open_recipe("int8-tensorrt"))
    makers = made_by(model)
    quantizers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert all(not constant(model, node.input[2]).any() for node in quantizers)
    assert all(constant(model, node.input[2]).dtype == np.int8 for node in quantizers)
    for name in LAYERS:
        layer = next(node for node in model.graph.node if node.name == name)
        weight = makers[makers[layer.input[1]].input[0]]
        assert weight.op_type == "QuantizeLinear"
        assert constant(model, weight.input[0]).dtype == np.float32
        assert constant(model, layer.input[2]).dtype == np.float32
        assert not any(layer.output[0] in node.input for node in quantizers)
    assert Counter(node.op_type for node in model.graph.node) & Counter(["Relu"] * 3) == Counter(["Relu"] * 3)
    assert error(model) < 0.01 * float(run(RESIDUAL, pictures(200, seed=9)).var())


def test_equal_arguments_give_equal_bytes_in_every_process():
    """In another one, whose strings have other hashes, and in this one, which has used all of it before."""
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    environment = os.environ | {"PYTHONHASHSEED": seed}
    other = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    with contextlib.redirect_stdout(io.StringIO()) as here:
        exec(SCRIPT, {})
    assert other.stdout == here.getvalue()
    assert len(other.stdout.strip()) == 64


def test_a_quantizer_that_was_used_before_gives_the_same_bytes_as_a_fresh_one():
    precision = Precision(float_nodes=frozenset({"second"}), reduced_nodes=frozenset({"last"}))
    assert (
        QUANTIZER.quantize(precision).SerializeToString()
        == quantize_static(RESIDUAL, RANGES, RECIPE, precision).SerializeToString()
    )


def test_metadata_is_kept_and_the_marks_of_preparation_are_not():
    model = residual()
    model.metadata_props.add(key="mine", value="1")
    small = quantize_static(prepare_graph(model), RANGES, RECIPE)
    assert [(item.key, item.value) for item in small.metadata_props] == [("mine", "1")]


def test_a_wrong_name_ranges_of_another_graph_and_nothing_left_are_refused():
    with pytest.raises(ModelError, match="no quantizable node 'stom'"):
        QUANTIZER.quantize(Precision(float_nodes=frozenset({"stom"})))
    with pytest.raises(ModelError, match="every layer stays in float"):
        QUANTIZER.quantize(Precision(float_nodes=frozenset(LAYERS)))
    with pytest.raises(ModelError, match="has no range"):
        quantize_static(RESIDUAL, {}, RECIPE)
    with pytest.raises(ModelError, match="already quantized"):
        quantize_static(QUANTIZER.quantize(Precision()), RANGES, RECIPE)


def test_small_linear_layers_are_no_faster_in_int8():
    assert small_layers(prepare_graph(layers(256, 256, 8))) == {"layer1"}
    assert small_layers(prepare_graph(layers(60, 128, 64, 2))) == {"layer0", "layer1", "layer2"}
    assert small_layers(RESIDUAL) == {"stem", "head"}


def test_joined_pooled_and_moved_values_stay_integers_between_layers(tmp_path):
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["h0"], "left"),
        helper.make_node("Conv", ["x", "w1"], ["h1"], "right"),
        helper.make_node("Concat", ["h0", "h1"], ["h2"], "join", axis=1),
        helper.make_node("Relu", ["h2"], ["h3"], "clamp"),
        helper.make_node("GlobalAveragePool", ["h3"], ["h4"], "pool"),
        helper.make_node("Flatten", ["h4"], ["h5"], "flat"),
        helper.make_node("Gemm", ["h5", "w2"], ["y"], "head"),
    ]
    weights = {"w0": normal(rng, 4, 3, 3, 3), "w1": normal(rng, 2, 3, 3, 3), "w2": normal(rng, 6, 2)}
    prepared = prepare_graph(graph(nodes, weights, x=(3, 8, 8), y=(2,)))
    feeds = pictures(40)
    model = quantize_static(prepared, calibrate(prepared, [feeds], method="minmax"), RECIPE)
    found = kernels(model, tmp_path)
    assert found["QLinearConcat"] == found["QLinearGlobalAveragePool"] == found["QGemm"] == 1
    assert found["QuantizeLinear"] == 1
    assert not found["DequantizeLinear"] + found["Relu"] + found["Concat"]
    assert error(model, prepared, feeds) < 0.01 * float(run(prepared, feeds).var())


@pytest.mark.parametrize(("lowest", "highest"), [(0.0, 1.0), (-0.5, 0.5), (0.2, 1.0), (-2.0, -0.1)])
def test_a_clip_is_kept_where_codes_could_leave_its_range(tmp_path, lowest, highest):
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], "one"),
        helper.make_node("Clip", ["h", "low", "high"], ["c"], "clip"),
        helper.make_node("Gemm", ["c", "v"], ["y"], "two"),
    ]
    limits = {"low": np.float32(lowest), "high": np.float32(highest)}
    weights = {"w": normal(rng, 6, 6), "b": normal(rng, 6), "v": normal(rng, 6, 3), **limits}
    prepared = prepare_graph(graph(nodes, weights, x=(6,), y=(3,)))
    feeds = {"x": rng.normal(size=(200, 6)).astype(np.float32)}
    model = quantize_static(prepared, calibrate(prepared, [feeds], method="minmax"), RECIPE)
    assert ("Clip" in {node.op_type for node in model.graph.node}) == (lowest > 0 or highest < 0)
    assert kernels(model, tmp_path)["QGemm"] == 2
    assert error(model, prepared, feeds) < 0.01 * float(run(prepared, feeds).var())


def test_dynamic_int8_leaves_the_named_nodes_in_float():
    model = quantize_dynamic(layers(16, 16, 4), reduce_range=False, float_nodes=frozenset({"layer0"}))
    products = [node.op_type for node in model.graph.node if node.op_type in {"Gemm", "MatMul", "MatMulInteger"}]
    assert products == ["MatMul", "MatMulInteger"]
    feeds = {"x": np.random.default_rng(0).normal(size=(1, 16)).astype(np.float32)}
    assert np.abs(run(model, feeds) - run(layers(16, 16, 4), feeds)).max() < 0.1
    with pytest.raises(ModelError, match="already quantized"):
        quantize_dynamic(model, reduce_range=False)


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_a_normalized_sum_runs_in_onnxruntimes_fast_kernels(tmp_path, kind):
    prepared = prepare_graph(post_norm())
    feeds = {"x": np.random.default_rng(3).normal(size=(1, 8, 64)).astype(np.float32)}
    assert kernels(prepared, tmp_path)["SkipLayerNormalization"] == 1
    if kind == "dynamic":
        model = quantize_dynamic(prepared, reduce_range=False)
    else:
        model = quantize_static(prepared, calibrate(prepared, [feeds], method="minmax"), RECIPE)
    run_by = kernels(model, tmp_path)
    assert run_by["SkipLayerNormalization"] == 0
    assert run_by["LayerNormalization"] == 2
    # The other sum is read by the next layer as well: no kernel takes it in.
    assert Counter(node.op_type for node in model.graph.node)["Sum"] == 1
    assert error(model, prepared, feeds) < 0.001 * float(run(prepared, feeds).var())
