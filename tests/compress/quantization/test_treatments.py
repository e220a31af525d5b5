"""What is done to an FP32 graph before its numbers become codes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import quantize_static
from edgefair.compress.quantization.treatments.equalize import equalize, pairs_of
from edgefair.compress.quantization.treatments.reconstruct import reconstruct
from edgefair.compress.quantization.treatments.rounding import round_adaptively
from edgefair.graphs.inner_values import inner_values
from tests.compress.graphs import graph, normal

RECIPE = CalibrationRecipe(name="test")


def answers(model, x, name="y"):
    return next(inner_values(model, [name], [{"x": x}]))[name].astype(np.float64)


def separable(clamp, *, seed=0, channels=6, spread=6.0, shift=0.3):
    """Pointwise, depthwise and pointwise layers with clamps between them; channels of very unequal size."""
    rng = np.random.default_rng(seed)
    node, c = helper.make_node, channels
    limits = {"Relu": [], "Clip": ["zero", "six"]}[clamp]
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], "expand"),
        node(clamp, ["c0", *limits], ["r0"], "expand_clamp"),
        node("Conv", ["r0", "w1", "b1"], ["c1"], "depthwise", group=c, pads=[1, 1, 1, 1]),
        node(clamp, ["c1", *limits], ["r1"], "depthwise_clamp"),
        node("Conv", ["r1", "w2", "b2"], ["c2"], "project"),
        node("GlobalAveragePool", ["c2"], ["m"], "pool"),
        node("Flatten", ["m"], ["f"], "flatten"),
        node("Gemm", ["f", "w3", "b3"], ["y"], "head", transB=1),
    ]
    weights = {
        "w0": normal(rng, c, 3, 1, 1) * np.exp(rng.uniform(-spread, 0, (c, 1, 1, 1))).astype(np.float32) * 2,
        "w1": normal(rng, c, 1, 3, 3),
        "w2": normal(rng, 4, c, 1, 1) * np.exp(rng.uniform(0, spread, (1, c, 1, 1))).astype(np.float32),
        "w3": normal(rng, 2, 4),
        "b0": normal(rng, c, scale=shift),
        "b1": normal(rng, c, scale=shift),
        "b2": normal(rng, 4, scale=shift),
        "b3": normal(rng, 2, scale=shift),
        "zero": np.float32(0),
        "six": np.float32(6),
    }
    used = {name: value for name, value in weights.items() if clamp == "Clip" or name not in {"zero", "six"}}
    return prepare_graph(graph(nodes, used, x=(3, 6, 6), y=(2,)))


def pictures(rows, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, 3, 6, 6)).astype(np.float32)


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(["Relu", "Clip"]), st.integers(0, 10_000), st.floats(0, 8), st.floats(0, 4))
def test_an_equalized_graph_gives_what_it_gave_on_the_rows_that_it_was_equalized_on(clamp, seed, spread, shift):
    prepared, x = separable(clamp, seed=seed, spread=spread, shift=shift), pictures(24, seed)
    before, after = answers(prepared, x), answers(equalize(prepared, [{"x": x}]), x)
    assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


def test_equalized_channels_use_the_same_codes_and_the_int8_file_loses_less():
    prepared, x = separable("Relu", seed=3), pictures(200)
    equal = equalize(prepared, [{"x": x}])
    assert [(pair.first, pair.second) for pair in pairs_of(prepared)] == [
        ("expand", "depthwise"),
        ("depthwise", "project"),
    ]
    largest = answers(equal, x, "r0").max(axis=(0, 2, 3))
    assert largest[largest > 0].min() > 0.5 * largest.max()

    def lost(model):
        int8 = quantize_static(model, calibrate(model, [{"x": x}], method="minmax"), RECIPE)
        return np.square(answers(int8, x) - answers(prepared, x)).mean()

    assert lost(equal) < 0.5 * lost(prepared)


def test_a_channel_that_reaches_its_clamp_keeps_its_scale_and_nothing_is_scaled_through_it():
    prepared, x = separable("Clip", seed=5, spread=3.0, shift=4.0), pictures(200)
    reached = answers(prepared, x, "r0").max(axis=(0, 2, 3)) >= 6
    equal = equalize(prepared, [{"x": x}])
    weights = {item.name: numpy_helper.to_array(item) for item in equal.graph.initializer}
    node = next(item for item in equal.graph.node if item.name == "expand")
    ratio = (weights[node.input[1]] / numpy_helper.to_array(prepared.graph.initializer[0])).reshape(6, -1)[:, 0]
    assert 0 < reached.sum() < 6
    assert (ratio[reached] == 1).all()
    assert (answers(equal, x, "r0").max(axis=(0, 2, 3))[~reached] < 6).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(4, 60))
def test_adaptive_rounding_loses_no_more_than_the_nearest_codes_and_no_other_side_of_one_weight_is_better(
    seed, width, rows
):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 1)) + 0.2 * rng.normal(size=(rows, width))
    weight, scale = rng.normal(size=(1, width)), np.array([0.3])
    inner, outer = x.T @ x / rows, x.T @ (x @ weight.T) / rows
    ridge = 0.01 * np.trace(inner) / width

    def loss(codes):
        off = (scale[:, None] * codes - weight)[0]
        return off @ inner @ off + ridge * off @ off

    found = round_adaptively(weight, scale, 127, inner, outer)
    sides = [(np.floor(value), np.ceil(value)) for value in (weight / scale[:, None])[0]]
    assert all(code in side for code, side in zip(found[0], sides, strict=True))
    assert loss(found) <= loss(np.rint(weight / scale[:, None])) + 1e-12
    for index, side in itertools.product(range(width), (0, 1)):
        other = found.copy()
        other[0, index] = sides[index][side]
        assert loss(found) <= loss(other) + 1e-12


def test_adaptive_rounding_finds_most_of_what_the_best_of_all_codes_gains():
    rng, gained, best = np.random.default_rng(0), 0.0, 0.0
    for _ in range(30):
        x = rng.normal(size=(40, 1)) + 0.3 * rng.normal(size=(40, 6))
        weight, scale = rng.normal(size=(1, 6)), np.array([0.3])
        inner, outer = x.T @ x / 40, x.T @ (x @ weight.T) / 40

        def loss(codes, weight=weight, inner=inner):
            off = (0.3 * codes - weight)[0]
            return off @ inner @ off

        sides = [(np.floor(value), np.ceil(value)) for value in (weight / 0.3)[0]]
        nearest = loss(np.rint(weight / 0.3))
        best += nearest - min(loss(np.array([codes])) for codes in itertools.product(*sides))
        gained += nearest - loss(round_adaptively(weight, scale, 127, inner, outer))
    assert gained > 0.8 * best


def test_codes_of_a_rounded_weight_are_found_again_and_the_file_loses_less():
    prepared, x = separable("Relu", seed=7, spread=2.0), pictures(96)
    ranges = calibrate(prepared, [{"x": x}], method="minmax")
    nearest = quantize_static(prepared, ranges, CalibrationRecipe(name="test", weight_bits=4))
    wanted, unseen = answers(prepared, x), pictures(200, seed=9)
    options = {"bits": 4, "cell": np.arange(96) % 4}
    losses = {}
    for rounds in (False, True):
        treated = reconstruct(prepared, nearest, {"x": x}, rounds=rounds, **options)
        assert treated == reconstruct(prepared, nearest, {"x": x}, rounds=rounds, **options)
        made = quantize_static(treated, ranges, CalibrationRecipe(name="test", weight_bits=4))
        losses[rounds] = np.square(answers(made, unseen) - answers(prepared, unseen)).mean()
        assert np.abs(answers(made, x).mean(axis=0) - wanted.mean(axis=0)).max() < 0.02 * np.abs(wanted).max()
        if rounds:
            constants = {item.name: numpy_helper.to_array(item) for item in made.graph.initializer}
            weights = {item.name: numpy_helper.to_array(item) for item in treated.graph.initializer}
            name = next(item for item in treated.graph.node if item.name == "project").input[1]
            scale = constants[f"{name}/scale"].reshape(-1, 1, 1, 1)
            assert np.abs(constants[f"{name}/codes"] * scale - weights[name]).max() < 1e-5 * scale.max()
    before = np.square(answers(nearest, unseen) - answers(prepared, unseen)).mean()
    assert losses[False] < before
    assert losses[True] < 0.7 * before


def test_no_cell_pays_for_the_reconstruction_of_a_larger_one():
    rng = np.random.default_rng(2)
    prepared = prepare_graph(
        graph(
            [helper.make_node("Gemm", ["x", "w", "b"], ["y"], "only", transB=1)],
            {"w": normal(rng, 16, 12), "b": normal(rng, 16)},
            x=(12,),
            y=(16,),
        )
    )
    cell = np.repeat([0, 1], [950, 50])
    directions = [np.linalg.qr(rng.normal(size=(12, 12)))[0][:, :2] for _ in range(2)]
    x = np.concatenate([rng.normal(size=(count, 2)) @ way.T for count, way in zip((950, 50), directions, strict=True)])
    x = (x * 3).astype(np.float32)
    ranges = calibrate(prepared, [{"x": x}], method="minmax")
    recipe = CalibrationRecipe(name="test", weight_bits=4)
    nearest = quantize_static(prepared, ranges, recipe)

    def worst(cells):
        made = quantize_static(reconstruct(prepared, nearest, {"x": x}, cells, rounds=True, bits=4), ranges, recipe)
        off = np.square(answers(made, x) - answers(prepared, x)).mean(axis=1)
        return max(off[cell == index].mean() for index in (0, 1))

    assert worst(cell) < worst(np.zeros(len(x), dtype=np.int64))


def test_a_layer_in_float_and_a_dead_channel_are_left_as_they_are():
    prepared, x = separable("Relu", seed=1, shift=0.0), pictures(16)
    weights = {item.name: item for item in prepared.graph.initializer}
    dead = numpy_helper.to_array(weights["w0"]).copy()
    dead[2] = 0
    weights["w0"].CopyFrom(numpy_helper.from_array(dead, "w0"))
    equal = equalize(prepared, [{"x": x}])
    assert answers(equal, x) == pytest.approx(answers(prepared, x), rel=1e-4, abs=1e-5)
    int8 = quantize_static(equal, calibrate(equal, [{"x": x}], method="minmax"), RECIPE)
    treated = reconstruct(equal, int8, {"x": x}, np.zeros(16, dtype=np.int64), rounds=True, bits=8)
    assert all(np.isfinite(numpy_helper.to_array(item)).all() for item in treated.graph.initializer)
