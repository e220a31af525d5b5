"""What VPMADDUBSW saturates, told from arrays; and that an emulated processor without VNNI does just that."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgefair.compress.analysis.dynamic_layers import dynamic_layers
from edgefair.compress.analysis.integer_layers import quantized_layers
from edgefair.compress.analysis.saturation import audit_dynamic_saturation, audit_saturation
from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.errors import ModelError
from edgefair.graphs.inner_values import inner_values
from tests.compress.graphs import graph
from tests.compress.quantization.brightness import haswell

ALL = 10**6
# What: operator, shape of the input, shape of the weight, type of the activations, attributes.
KINDS = {
    "first convolution": ("Conv", (2, 1, 9, 9), (8, 1, 3, 3), "uint8", {"pads": [1] * 4}),
    "strides": ("Conv", (2, 3, 9, 9), (8, 3, 3, 3), "uint8", {"pads": [1] * 4, "strides": [2, 2]}),
    "dilations": ("Conv", (2, 8, 9, 9), (16, 8, 3, 3), "uint8", {"pads": [1] * 4, "dilations": [2, 2]}),
    "pointwise": ("Conv", (2, 8, 9, 9), (24, 8, 1, 1), "uint8", {}),
    "odd channels": ("Conv", (2, 5, 9, 9), (10, 5, 3, 3), "uint8", {"pads": [1, 0, 2, 1]}),
    "auto_pad upper": ("Conv", (2, 6, 9, 8), (10, 6, 3, 3), "uint8", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "auto_pad lower": ("Conv", (2, 6, 9, 8), (10, 6, 3, 3), "uint8", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "groups": ("Conv", (2, 6, 9, 9), (8, 3, 3, 3), "uint8", {"group": 2, "pads": [1] * 4}),
    "depthwise with a multiplier": ("Conv", (2, 6, 9, 9), (12, 1, 3, 3), "uint8", {"group": 6, "pads": [1] * 4}),
    "depthwise": ("Conv", (2, 16, 9, 9), (16, 1, 3, 3), "uint8", {"group": 16, "pads": [1] * 4}),
    "one axis": ("Conv", (2, 6, 30), (10, 6, 5), "uint8", {"pads": [2, 2]}),
    "linear": ("Gemm", (7, 33), (10, 33), "uint8", {"transB": 1}),
    "one row": ("Gemm", (1, 33), (10, 33), "uint8", {"transB": 1}),
    "linear of tokens": ("MatMul", (3, 5, 32), (32, 12), "uint8", {}),
    "signed convolution": ("Conv", (2, 8, 9, 9), (16, 8, 3, 3), "int8", {"pads": [1] * 4}),
    "signed linear": ("Gemm", (7, 33), (10, 33), "int8", {"transB": 1}),
    "signed linear of tokens": ("MatMul", (3, 5, 32), (32, 12), "int8", {}),
}
DEPTHWISE = "depthwise"


def one_layer(operator, x_shape, w_shape, activations, attributes, *, most=127, weight_type=np.int8):
    """A QDQ graph of one layer with large weights, `x` -> `y`, and the scale of y."""
    rng = np.random.default_rng(0)
    axis = 1 if operator == "MatMul" else 0
    outputs = w_shape[axis]
    weight = rng.integers(most // 2, most + 1, w_shape) * rng.choice([-1, 1, 1], w_shape)
    if weight_type == np.uint8:
        weight = weight + 128
    kind, zero = {"uint8": (np.uint8, 3), "int8": (np.int8, -125)}[activations]
    middle = 128 if activations == "uint8" else 0
    scale = np.float32(np.prod(w_shape) / outputs * 0.6 / 255)
    constants = {
        "sx": np.float32(1 / 255),
        "zx": np.array(zero, kind),
        "w": weight.astype(weight_type),
        "sw": np.full(outputs, 1 / 127, np.float32),
        "zw": np.full(outputs, 128 if weight_type == np.uint8 else 0, weight_type),
        "sy": scale,
        "zy": np.array(middle, kind),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zx"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["wd"], axis=axis),
        helper.make_node(operator, ["xd", "wd"], ["product"], "layer", **attributes),
        helper.make_node("QuantizeLinear", ["product", "sy", "zy"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "sy", "zy"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x_shape)],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), float(scale)


def float_output(model):
    """The graph up to the layer, whose output is not quantized."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.node[-2:]
    cut.graph.output[0].name = "product"
    return cut


def inputs(x_shape):
    return np.random.default_rng(1).uniform(0.3, 1, x_shape).astype(np.float32)


def pair_sums(layer, model, x):
    """Every pair sum of the layer, in the definition's own words: [rows, places, groups, outputs, pairs]."""
    values = next(inner_values(model, [layer.values], [{"x": x}]))[layer.values]
    operands = layer.operands(values, ALL, np.random.default_rng(0)).astype(np.int64)
    odd = [(0, layer.weight.shape[2] % 2)]
    products = (
        np.pad(operands, [(0, 0)] * 3 + odd)[:, :, :, None] * np.pad(layer.weight, [(0, 0)] * 2 + odd)[None, None]
    )
    return products.reshape(*products.shape[:-1], -1, 2).sum(axis=-1)


def output(layer, sums, scale, shape, *, channels_first):
    """What the layer gives if it adds these pair sums."""
    exact = sums.sum(axis=-1) - layer.zero * layer.weight.sum(axis=-1)
    rounded = np.rint(exact / 255 / 127 / np.float32(scale)).reshape(*exact.shape[:2], -1)
    middle = 128 if layer.shift == 0 else 0
    lowest, highest = (0, 255) if layer.shift == 0 else (-128, 127)
    y = (np.clip(rounded + middle, lowest, highest) - middle) * scale
    return (np.moveaxis(y, -1, 1) if channels_first else y).reshape(shape)


def native(model, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != DEPTHWISE])
def test_operands_times_weights_are_what_the_layer_computes(kind):
    """In float, so on any machine: the file's own arithmetic before any kernel is chosen."""
    operator, x_shape, *_ = KINDS[kind]
    model, scale = one_layer(*KINDS[kind])
    (layer,) = quantized_layers(model)
    x = inputs(x_shape)
    expected = next(inner_values(model, ["y"], [{"x": x}]))["y"]
    found = output(layer, pair_sums(layer, model, x), scale, expected.shape, channels_first=operator == "Conv")
    # A value in the middle between two steps may be rounded either way.
    assert np.abs(found - expected).max() <= scale * 1.01
    assert (np.abs(found - expected) > scale / 2).mean() < 0.01


def test_an_emulated_processor_without_vnni_saturates_these_pairs_and_no_others(tmp_path):
    made = {kind: one_layer(*settings) for kind, settings in KINDS.items()}
    in_float = {kind: float_output(made[kind][0]) for kind in ("linear", "signed linear of tokens", "pointwise")}
    feeds = {f"{index}/x": inputs(KINDS[kind][1]) for index, kind in enumerate([*made, *in_float])}
    results = haswell([*(model for model, _ in made.values()), *in_float.values()], feeds, tmp_path)
    for (kind, model), x, emulated in zip(
        in_float.items(), list(feeds.values())[len(made) :], results[len(made) :], strict=True
    ):
        if kind == "pointwise":
            assert quantized_layers(model) == ()
            assert np.allclose(emulated, native(model, x), atol=1e-4)
            continue
        (layer,) = quantized_layers(model)
        sums = np.clip(pair_sums(layer, model, x), -(2**15), 2**15 - 1).sum(axis=-1)
        found = (sums - layer.zero * layer.weight.sum(axis=-1)) / 255 / 127
        assert np.abs(found.reshape(emulated.shape) - emulated).max() < 1e-4, kind
    for (kind, (model, scale)), x, emulated in zip(made.items(), feeds.values(), results, strict=False):
        if kind == DEPTHWISE:
            assert quantized_layers(model) == ()
            assert np.array_equal(emulated, native(model, x))
            continue
        (layer,) = quantized_layers(model)
        sums = pair_sums(layer, model, x)
        saturated = np.clip(sums, -(2**15), 2**15 - 1)
        assert (saturated != sums).mean() > 0.1, kind
        first = KINDS[kind][0] == "Conv"
        exact, found = (output(layer, item, scale, emulated.shape, channels_first=first) for item in (sums, saturated))
        assert np.abs(found - emulated).max() < 1e-4, kind
        assert np.abs(exact - emulated).max() > 1e-4, kind


@pytest.mark.parametrize("kind", ["groups", "odd channels", "signed linear of tokens"])
def test_the_audit_counts_what_the_definition_says(kind):
    x_shape = KINDS[kind][1]
    model, _ = one_layer(*KINDS[kind])
    x = np.concatenate([inputs(x_shape), 0.4 * inputs(x_shape)])
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    (layer,) = quantized_layers(model)
    cell = np.repeat([2, 0], len(x) // 2)
    (found,) = audit_saturation(model, [{"x": part} for part in np.split(x, 2)], cell, 3, places=ALL, seed=0)
    sums = pair_sums(layer, model, x)
    excess = sums - np.clip(sums, -(2**15), 2**15 - 1)
    exact = sums.sum(axis=-1) - layer.zero * layer.weight.sum(axis=-1)
    for index in (0, 2):
        rows = cell == index
        assert found.pairs[index] == sums[rows].size
        assert found.beyond[index] == (excess[rows] != 0).sum()
        assert found.largest[index] == np.abs(excess[rows]).max()
        lost = np.sqrt((excess[rows].sum(axis=-1) ** 2).sum() / (exact[rows] ** 2).sum())
        assert found.error[index] == pytest.approx(lost)
    assert (found.beyond[0], found.beyond[2] > 100) == (0, True)
    assert (found.pairs[1], np.isnan(found.share[1]), np.isnan(found.error[1])) == (0, True, True)


@pytest.mark.parametrize("settings", [{"most": 64}, {"weight_type": np.uint8}])
def test_reduced_range_and_unsigned_weights_cannot_saturate(settings):
    model, _ = one_layer(*KINDS["dilations"], **settings)
    found = audit_saturation(model, [{"x": inputs((2, 8, 9, 9))}], np.array([0, 1]), 2, seed=0)
    assert all(not item.possible and not item.saturates and item.share.tolist() == [0, 0] for item in found)


def test_places_are_drawn_by_the_seed():
    model, _ = one_layer(*KINDS["pointwise"])
    batches = [{"x": inputs((2, 8, 9, 9))}]
    once, again, other = (
        audit_saturation(model, batches, np.array([0, 0]), 1, places=8, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert once.pairs.tolist() == [2 * 8 * 24 * 4]
    assert once.beyond == again.beyond
    assert once.beyond != other.beyond


def test_a_graph_that_cannot_run_is_an_error_of_the_model():
    model, _ = one_layer(*KINDS["pointwise"])
    with pytest.raises(ModelError, match="inner values"):
        audit_saturation(model, [{"x": np.zeros((2, 3), np.float32)}], np.zeros(2, np.int64), 1, seed=0)


def one_product(operator, x_shape, outputs):
    """An FP32 graph of one product with large weights, `x` -> `y`, prepared, and as dynamic INT8."""
    rng = np.random.default_rng(0)
    weight = (rng.uniform(0.5, 1, (x_shape[-1], outputs)) * rng.choice([-1, 1, 1], (x_shape[-1], outputs))).astype("f4")
    if operator == "Gemm":
        nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], "layer", transB=1)]
        weights = {"w": weight.T.copy(), "b": np.zeros(outputs, np.float32)}
    else:
        nodes, weights = [helper.make_node("MatMul", ["x", "w"], ["y"], "layer")], {"w": weight}
    prepared = prepare_graph(graph(nodes, weights, x=x_shape[1:], y=(*x_shape[1:-1], outputs)))
    return prepared, quantize_dynamic(prepared, reduce_range=False)


def of_tokens():
    """The same behind an embedding whose table is coded too; `x` are ids."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["e"], "embedding"),
        helper.make_node("MatMul", ["e", "w"], ["y"], "layer"),
    ]
    table = rng.uniform(0.2, 1, (50, 32)).astype(np.float32)
    weights = {"table": table, "w": rng.uniform(0.4, 1, (32, 8)).astype(np.float32)}
    prepared = prepare_graph(graph(nodes, weights, x=(6,), y=(6, 8), kind=onnx.TensorProto.INT64))
    return prepared, quantize_dynamic(prepared, reduce_range=False)


DYNAMIC = {
    "linear": (one_product("Gemm", (1, 33), 10), {"x": inputs((1, 33))}),
    "linear of many rows at once": (one_product("MatMul", (7, 32), 12), {"x": inputs((7, 32))}),
    "linear of tokens": (one_product("MatMul", (1, 5, 32), 12), {"x": inputs((1, 5, 32)) - 0.2}),
    "behind an embedding": (of_tokens(), {"x": np.arange(6)[None]}),
}


def dynamic_sums(prepared, quantized, feeds, *, rows_together=False):
    """The layer, its pair sums [rows, places, 1, outputs, pairs], and every row's zero point and step."""
    (item,) = dynamic_layers(prepared, quantized)
    value = next(inner_values(prepared, [item.layer.values], [feeds]))[item.layer.values]
    codes, zero, step = item.codes(value[None] if rows_together else value)
    operands = item.layer.operands(codes.reshape(value.shape), ALL, np.random.default_rng(0)).astype(np.int64)
    odd = [(0, item.layer.weight.shape[2] % 2)]
    products = np.pad(operands, [(0, 0)] * 3 + odd)[:, :, :, None] * np.pad(item.layer.weight, [(0, 0)] * 2 + odd)
    return item.layer, products.reshape(*products.shape[:-1], -1, 2).sum(axis=-1), zero, step


def test_dynamic_int8_saturates_on_an_emulated_processor_without_vnni_as_static_int8_does(tmp_path):
    models = [quantized for (_, quantized), _ in DYNAMIC.values()]
    feeds = {f"{index}/{name}": value for index, (_, x) in enumerate(DYNAMIC.values()) for name, value in x.items()}
    for (kind, ((prepared, quantized), x)), emulated in zip(
        DYNAMIC.items(), haswell(models, feeds, tmp_path), strict=True
    ):
        together = kind == "linear of many rows at once"
        layer, sums, zero, step = dynamic_sums(prepared, quantized, x, rows_together=together)
        saturated = np.clip(sums, -(2**15), 2**15 - 1)
        assert (saturated != sums).mean() > 0.05, kind
        exact, found = (
            ((item.sum(axis=-1) - zero[0] * layer.weight.sum(axis=-1)) * step[0] * layer.scale).reshape(emulated.shape)
            for item in (sums, saturated)
        )
        assert np.abs(found - emulated).max() < 1e-4, kind
        assert np.abs(exact - emulated).max() > 1e-2, kind


def test_the_audit_of_dynamic_int8_codes_every_row_by_its_own_range():
    prepared, quantized = one_product("MatMul", (7, 32), 12)
    x = np.concatenate([inputs((6, 32)), 0.01 * inputs((6, 32)), np.zeros((1, 32), np.float32)])
    x[8, :] = [0.001, 1] * 16
    cell = np.repeat([0, 1, 2], [6, 6, 1])
    batches = [{"x": part} for part in np.array_split(x, 3)]
    (found,) = audit_dynamic_saturation(prepared, quantized, batches, cell, 4, places=ALL, seed=0)
    layer, sums, zero, step = dynamic_sums(prepared, quantized, {"x": x})
    excess = sums - np.clip(sums, -(2**15), 2**15 - 1)
    exact = sums.sum(axis=-1) - zero[:, None, None, None] * layer.weight.sum(axis=-1)
    scale = step[:, None, None, None] * layer.scale
    for index in range(2):
        rows = cell == index
        assert found.beyond[index] == (excess[rows] != 0).sum() > 0
        lost = np.sqrt(((excess.sum(axis=-1) * scale)[rows] ** 2).sum() / ((exact * scale)[rows] ** 2).sum())
        assert found.error[index] == pytest.approx(lost)
    # A hundredth of the numbers in a range of a hundredth has the same codes.
    assert (excess[6] == excess[0]).all()
    assert found.beyond[2] == 0
    assert np.isnan(found.share[3])
    reduced = quantize_dynamic(prepared, reduce_range=True)
    assert not audit_dynamic_saturation(prepared, reduced, batches, cell, 4, seed=0)[0].possible
