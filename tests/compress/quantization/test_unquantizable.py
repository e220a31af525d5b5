"""What has no codes stays in float, and the rest of the graph is compressed."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgefair.compress.analysis.channel_ablation import prunable_nodes, without_weak_channels
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.fp16 import to_float16
from edgefair.compress.quantization.macs import node_macs
from edgefair.compress.quantization.placement import small_layers
from edgefair.compress.quantization.prepare import (
    dynamic_nodes,
    prepare_graph,
    quantizable_nodes,
    unquantizable_nodes,
)
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import quantize_static
from edgefair.errors import ModelError
from tests.compress.graphs import graph, normal
from tests.compress.quantization.differential import session, unexplained

RECIPE = CalibrationRecipe(name="test")


def behind(nodes, weights, *, width=8, row=(3,)):
    """Two usual layers from `x` [rows, 6] to `r` [rows, width], and what comes behind, which gives `o` of this row."""
    rng = np.random.default_rng(0)
    first = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], "usual"),
        helper.make_node("Relu", ["h"], ["r"], "act"),
    ]
    last = [
        helper.make_node("Flatten", ["o"], ["flat"], "flat"),
        helper.make_node("Gemm", ["flat", "v"], ["y"], "last"),
    ]
    weights = {**weights, "w": normal(rng, 6, width), "b": normal(rng, width), "v": normal(rng, int(np.prod(row)), 2)}
    return graph([*first, *nodes, *last], weights, x=(6,), y=(2,))


def rng_normal(*shape):
    return normal(np.random.default_rng(1), *shape)


def product(weight, shape=None):
    """A product of `r`, as rows of this shape, with a weight under the name `odd`."""
    shaped = [helper.make_node("Reshape", ["r", "to"], ["s"], "shape")] if shape else []
    extra = {"to": np.array([-1, *shape])} if shape else {}
    return [*shaped, helper.make_node("MatMul", ["s" if shape else "r", "k"], ["o"], "odd")], {"k": weight, **extra}


def dense(bias=None, **options):
    constants = {"k": rng_normal(8, 3), **({} if bias is None else {"kb": bias})}
    return [helper.make_node("Gemm", ["r", *constants], ["o"], "odd", **options)], constants


def in_double():
    nodes = [
        helper.make_node("Cast", ["r"], ["d"], "to_double", to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["d", "k"], ["e"], "odd"),
        helper.make_node("Cast", ["e"], ["o"], "to_float", to=TensorProto.FLOAT),
    ]
    return nodes, {"k": rng_normal(8, 3).astype(np.float64)}


LEFT = {
    "vector": (*product(rng_normal(8)), (1,), "its weight has 1 dimension"),
    "batched": (*product(rng_normal(2, 4, 3), (2, 1, 4)), (2, 3), "its weight has 3 dimensions"),
    "double": (*in_double(), (3,), "its weight is double"),
}


@pytest.mark.parametrize("kind", LEFT)
def test_a_layer_without_codes_is_named_with_its_reason_and_left_in_float(kind):
    nodes, weights, row, why = LEFT[kind]
    model = behind(nodes, weights, row=row)
    prepared = prepare_graph(model)
    x = np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32)
    assert unquantizable_nodes(prepared) == {"odd": why}
    assert quantizable_nodes(prepared) == ("usual", "last")
    assert dynamic_nodes(prepared) == ("usual", "last")
    assert small_layers(prepared) == {"usual", "last"}
    assert node_macs(prepared).keys() == {"usual", "last"}
    assert without_weak_channels(prepared, prunable_nodes(prepared)[0], 0.5).graph.node
    ranges = calibrate(prepared, [{"x": x}], method="minmax")
    assert unexplained(model, prepared, ranges, quantize_static(prepared, ranges, RECIPE), x) is None
    wanted = session(model, fused=False).run(None, {"x": x})[0]
    for made in (quantize_dynamic(prepared, reduce_range=True), to_float16(prepared)):
        found = session(made, fused=True).run(None, {"x": x})[0]
        assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("weight", "why"),
    [
        (np.array([[np.nan, 1.0]], np.float32), "its weight is not finite"),
        (np.array([[np.inf, 1.0]], np.float32), "its weight is not finite"),
        (np.zeros((8, 0), np.float32), "its weight is empty"),
    ],
)
def test_a_weight_that_is_not_finite_or_empty_has_no_codes(weight, why):
    nodes, weights = product(weight)
    assert unquantizable_nodes(behind(nodes, weights)) == {"odd": why}


@pytest.mark.parametrize(
    "case",
    [
        dense(alpha=0.5),
        dense(rng_normal(3) * 30, beta=-2.0),
        dense(rng_normal(3) * 30, alpha=1e-3, beta=4.0),
        dense(np.float32(7)),
        dense(np.full((1, 1), 7, np.float32)),
        dense(rng_normal(1, 3), alpha=3.0),
        dense(rng_normal(1)),
    ],
)
def test_factors_and_any_shape_of_a_bias_are_part_of_the_codes(case):
    model = behind(*case)
    prepared = prepare_graph(model)
    x = np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32)
    ranges = calibrate(prepared, [{"x": x}], method="minmax")
    assert quantizable_nodes(prepared) == ("usual", "odd", "last")
    for recipe in (RECIPE, CalibrationRecipe(name="test", weights="per-tensor")):
        assert unexplained(model, prepared, ranges, quantize_static(prepared, ranges, recipe), x) is None


def test_a_graph_of_nothing_else_is_refused_with_the_reason():
    nodes, weights = [helper.make_node("MatMul", ["x", "k"], ["o"], "odd")], {"k": rng_normal(6)}
    nodes.append(helper.make_node("Unsqueeze", ["o", "axis"], ["y"], "end"))
    model = graph(nodes, {**weights, "axis": np.array([1])}, x=(6,), y=(1,))
    prepared = prepare_graph(model)
    with pytest.raises(ModelError, match="'odd': its weight has 1 dimension"):
        calibrate(prepared, [{"x": np.zeros((4, 6), np.float32)}], method="minmax")


def test_an_activation_with_an_axis_of_length_zero_has_a_range_of_nothing():
    nodes = [
        helper.make_node("Unsqueeze", ["r", "one"], ["token"], "token"),
        helper.make_node("Slice", ["token", "one", "one", "one"], ["none"], "cut"),
        helper.make_node("MatMul", ["none", "k"], ["product"], "nothing"),
        helper.make_node("ReduceSum", ["product", "one"], ["sum"], "sum", keepdims=0),
        helper.make_node("Add", ["r", "sum"], ["o"], "add"),
    ]
    model = behind(nodes, {"one": np.array([1]), "k": rng_normal(8, 8)}, row=(8,))
    prepared = prepare_graph(model)
    x = np.random.default_rng(2).normal(size=(16, 6)).astype(np.float32)
    for method in ("minmax", "entropy"):
        ranges = calibrate(prepared, [{"x": x}], method=method)
        int8 = quantize_static(prepared, ranges, RECIPE)
        assert unexplained(model, prepared, ranges, int8, x, whole=method == "minmax") is None
