"""Which layer moves whose decisions, on graphs where the answer is known."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.compress.analysis.channel_ablation import prunable_nodes, without_weak_channels
from edgefair.compress.analysis.scores import Scores, scores
from edgefair.compress.analysis.sensitivity import (
    Sample,
    effect,
    gap_shift,
    most_harm_first,
    rank_nodes,
    widest_comparison,
)
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.prepare import dynamic_nodes, prepare_graph, quantizable_nodes
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision, Quantizer
from edgefair.errors import ModelError
from edgefair.graphs.inner_values import inner_values
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, Reading

ROWS = 240


def spec(reading=None):
    return ModelSpec(
        inputs=(InputSpec("x", "float32", tuple(Column(f"x{i}") for i in range(5))),),
        reading=reading or Reading("logits", "logits"),
        classes=("no", "yes"),
    )


def chain(*, harmful):
    """first -> second -> last on five features; one scale for all weights of `harmful` erases what decides group 1.

    Features 0 and 1 decide for group 0, features 2 and 3 for group 1; feature 4 is always zero, and its weight of 300
    is what the scale is made for: of the others 3 is left and 1 is not.
    """
    weights = {name: np.diag([3, 3, 1, 1, 1]).astype(np.float32) for name in ("first", "second")}
    weights[harmful][4, 0] = 300
    weights["last"] = np.array([[1, -1], [-1, 1], [1, -1], [-1, 1], [0, 0]], np.float32)
    values = ("x", "a", "b", "logits")
    nodes = [
        helper.make_node("MatMul", [values[i], f"w_{name}"], [values[i + 1]], name) for i, name in enumerate(weights)
    ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 5])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(value, f"w_{name}") for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def rows():
    rng = np.random.default_rng(0)
    group, label = np.arange(ROWS) % 2, np.arange(ROWS) // 2 % 2
    x = np.zeros((ROWS, 5), np.float32)
    x[np.arange(ROWS), 2 * group + label] = rng.uniform(1, 2, ROWS)
    sample = Sample(label=label, cell=2 * group + label, cells=4, groups={"sex": group}, weight=np.ones(ROWS))
    return x, sample


def answers_of(x):
    def answers(model, names):
        return list(next(inner_values(model, names, [{"x": x}])).values())

    return answers


def compression(model, x, **settings):
    prepared = prepare_graph(model)
    recipe = CalibrationRecipe(name="test", **settings)
    quantizer = Quantizer(prepared, calibrate(prepared, [{"x": x}], method="minmax"), recipe)
    return prepared, lambda kept: quantizer.quantize(Precision(float_nodes=kept))


def scored(decision, log_odds):
    positive = 1 / (1 + np.exp(-np.array(log_odds, dtype=np.float64)))
    return Scores(np.stack([1 - positive, positive], axis=1), np.array(decision), None)


def graphs(make, nodes):
    """The two first arguments of `rank_nodes`."""
    return lambda node: make(frozenset(nodes) - {node}), make(frozenset())


@pytest.mark.parametrize("harmful", ["first", "second"])
def test_the_layer_that_erases_a_group_ranks_first_and_its_effect_is_on_that_group(harmful):
    x, sample = rows()
    prepared, make = compression(chain(harmful=harmful), x, weights="per-tensor")
    nodes = quantizable_nodes(prepared)
    assert nodes == ("first", "second", "last")
    ranked = rank_nodes(*graphs(make, nodes), prepared, nodes, answers_of(x), spec(), sample)
    assert sorted(item.node for item in ranked) == sorted(nodes)
    worst = ranked[0]
    assert worst.node == harmful
    assert worst.effect.worst_loss > 0.2
    assert worst.effect.loss[2:].min() > 5 * np.abs(worst.effect.loss[:2]).max()
    assert worst.effect.log_odds[2:].max() < -0.2
    assert all(abs(item.effect.worst_loss) < worst.effect.worst_loss / 10 for item in ranked[1:])
    assert (worst.effect.rows == ROWS // 4).all()


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_an_embedding_counts_as_a_layer_and_its_codes_alone_move_answers(kind):
    """Of two tables that decide, one has a row that no text uses and whose size makes its codes useless."""
    x, sample = rows()
    ids = x[:, :4].argmax(axis=1)[:, None]
    useful = np.array([[1, -1], [-1, 1], [1, -1], [-1, 1]], np.float32)
    table = np.zeros((40_000, 2), np.float32)
    table[:4] = 2 * useful
    coarse = np.zeros((40_000, 2), np.float32)
    coarse[:4], coarse[-1] = 3 * useful, 3000
    if kind == "static":
        # There every row has a scale of its own: what makes the codes useless must be in the row itself.
        coarse = np.concatenate([coarse, np.zeros_like(coarse)], axis=1)
        coarse[2:4, 2] = 3000
    weights = {
        "fine": table,
        "coarse": coarse,
        "w1": np.eye(2, dtype="f4"),
        "w2": np.eye(coarse.shape[1], 2, dtype="f4"),
    }
    nodes = [
        helper.make_node("Gather", ["fine", "x"], ["e1"], "first_table"),
        helper.make_node("Gather", ["coarse", "x"], ["e2"], "second_table"),
        helper.make_node("MatMul", ["e1", "w1"], ["h1"], "first"),
        helper.make_node("MatMul", ["e2", "w2"], ["h2"], "second"),
        helper.make_node("Add", ["h1", "h2"], ["s"], "sum"),
        helper.make_node("ReduceMean", ["s", "axes"], ["logits"], "mean", keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tables",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["rows", 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(value, name) for name, value in (weights | {"axes": np.array([1])}).items()],
    )
    prepared = prepare_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9))
    if kind == "static":
        ranges = calibrate(prepared, [{"x": ids}], method="minmax")
        quantizer = Quantizer(prepared, ranges, CalibrationRecipe(name="test"))
        nodes = (*quantizer.embeddings, *quantizer.nodes)

        def make(kept):
            return quantizer.quantize(Precision(float_nodes=kept))
    else:
        nodes = dynamic_nodes(prepared)

        def make(kept):
            return quantize_dynamic(prepared, reduce_range=False, float_nodes=kept)

    assert set(nodes) == {"first_table", "second_table", "first", "second"}

    def answers(model, names):
        return list(next(inner_values(model, names, [{"x": ids}])).values())

    ranked = rank_nodes(*graphs(make, nodes), prepared, nodes, answers, spec(), sample)
    assert sorted(item.node for item in ranked) == sorted(nodes)
    if kind == "dynamic":
        assert ranked[0].node == "second_table"
    alone = effect(
        sample,
        scores(prepared, answers, spec()),
        scores(make(frozenset(nodes) - {"second_table"}), answers, spec()),
        None,
    )
    assert alone.worst_loss > 0.001


def test_layers_that_are_all_broken_rank_before_one_that_is_not():
    """Mending one of two layers that erase the same group mends nothing; each alone shows its harm."""
    x, sample = rows()
    model = chain(harmful="first")
    broken = next(item for item in model.graph.initializer if item.name == "w_second")
    broken.CopyFrom(next(item for item in model.graph.initializer if item.name == "w_first"))
    broken.name = "w_second"
    prepared, make = compression(model, x, weights="per-tensor")
    nodes = quantizable_nodes(prepared)
    ranked = rank_nodes(*graphs(make, nodes), prepared, nodes, answers_of(x), spec(), sample)
    assert {item.node for item in ranked[:2]} == {"first", "second"}
    assert min(item.effect.worst_loss for item in ranked[:2]) > 10 * abs(ranked[2].effect.worst_loss)


def test_loss_and_flips_of_a_cell_are_means_over_its_rows():
    sample = Sample(
        label=np.array([1, 1, 0, 0]),
        cell=np.array([1, 1, 0, 0]),
        cells=3,
        groups={"sex": np.array([0, 1, 0, 1])},
        weight=np.ones(4),
    )
    before, after = scored([1, 1, 0, 0], [1, 2, -1, -2]), scored([1, 0, 0, 0], [2, -1, -1, -2])
    found = effect(sample, before, after, None)
    assert found.log_odds == pytest.approx([0, -1, np.nan], nan_ok=True)
    loss = np.log1p(np.exp(-np.array([2.0, -1]))).mean() - np.log1p(np.exp(-np.array([1.0, 2]))).mean()
    assert found.loss == pytest.approx([0, loss, np.nan], nan_ok=True)
    assert found.flips == pytest.approx([0, 0.5, np.nan], nan_ok=True)
    assert found.rows.tolist() == [2, 2, 0]
    assert found.gap is None
    sigma = 1 / (1 + np.exp(-np.array([1.0, 2, -1, 2])))
    assert found.probability[1] == pytest.approx(((sigma[3] - sigma[0]) + (sigma[2] - sigma[1])) / 2)


def test_the_widest_comparison_is_the_equalized_odds_gap_of_the_rows_that_the_sample_stands_for():
    label = np.array([1, 1, 1, 1, 0, 0])
    group = np.array([0, 0, 1, 1, 0, 1])
    weight = np.array([3.0, 1, 1, 1, 1, 1])
    sample = Sample(label=label, cell=label, cells=2, groups={"sex": group}, weight=weight)
    found = widest_comparison(sample, scored([0, 1, 1, 1, 0, 0], np.zeros(6)))
    assert (found.attribute, found.label, found.choice, found.high, found.low) == ("sex", 1, 1, 1, 0)
    assert found.difference == pytest.approx(1 - 1 / 4)
    alone = Sample(label=label, cell=label, cells=2, groups={"sex": np.zeros(6, int)}, weight=weight)
    assert widest_comparison(alone, scored([0, 1, 1, 1, 0, 0], np.zeros(6))) is None


def test_the_smoothed_gap_moves_with_rows_near_the_boundary_of_the_compared_groups_and_with_no_others():
    label = np.array([1, 1, 1, 1, 0, 0])
    group = np.array([0, 0, 1, 1, 0, 1])
    sample = Sample(label=label, cell=label, cells=2, groups={"sex": group}, weight=np.ones(6))
    odds = np.array([-0.1, 4, 0.1, 4, -4, -4])
    before = scored((odds > 0).astype(int), odds)
    comparison = widest_comparison(sample, before)
    assert (comparison.high, comparison.low) == (1, 0)

    def shift(row, by):
        moved = odds.copy()
        moved[row] += by
        return gap_shift(sample, comparison, before, scored((moved > 0).astype(int), moved))

    assert shift(0, 0.2) < -0.01
    assert shift(2, 0.2) > 0.01
    assert abs(shift(3, 0.2)) < abs(shift(2, 0.2)) / 20
    assert shift(4, 3) == shift(5, -3) == 0
    assert shift(0, 0) == 0


def test_both_effects_count_alike_whatever_their_units():
    _, sample = rows()
    base = effect(sample, *[scored(sample.label, np.where(sample.label == 1, 2, -2))] * 2, None)
    made = {"loss": (10.0, 0.0), "gap": (0.0, 0.01), "both": (8.0, 0.008), "good": (-3.0, -0.01)}
    found = most_harm_first([(name, replace(base, worst_loss=loss, gap=gap)) for name, (loss, gap) in made.items()])
    assert [item.node for item in found] == ["both", "loss", "gap", "good"]


def test_pruning_zeroes_the_weakest_half_of_the_channels_for_this_layer_only():
    x, _ = rows()
    prepared = prepare_graph(chain(harmful="first"))
    assert prunable_nodes(prepared) == ("first", "second")
    before = prepared.SerializeToString()
    pruned = without_weak_channels(prepared, "first", 0.5)
    a = next(inner_values(pruned, ["a"], [{"x": x}]))["a"]
    dense = next(inner_values(prepared, ["a"], [{"x": x}]))["a"]
    assert (np.abs(a).sum(axis=0) > 0).sum() == 2
    assert np.abs(a[:, 0]).max() > 0
    assert np.array_equal(a[:, a.any(axis=0)], dense[:, a.any(axis=0)])
    assert prepared.SerializeToString() == before
    with pytest.raises(ModelError, match="no layer 'third'"):
        without_weak_channels(prepared, "third", 0.5)


@pytest.mark.parametrize("operator", ["Gemm", "Conv"])
def test_the_bias_of_a_pruned_channel_goes_too_and_one_channel_stays(operator):
    shape = (4, 3) if operator == "Gemm" else (4, 3, 1, 1)
    weight = np.arange(1, 5, dtype=np.float32).reshape(-1, *[1] * (len(shape) - 1)) * np.ones(shape, np.float32)
    inputs = ["rows", 3] if operator == "Gemm" else ["rows", 3, 2, 2]
    nodes = [
        helper.make_node(operator, ["x", "w", "b"], ["y"], "layer", **({"transB": 1} if operator == "Gemm" else {}))
    ]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.full(4, 9, np.float32), "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    x = np.ones([2, *inputs[1:]], np.float32)
    for share, left in ((0.5, 2), (1.0, 1)):
        y = next(inner_values(without_weak_channels(model, "layer", share), ["y"], [{"x": x}]))["y"]
        assert y.any(axis=tuple(i for i in range(y.ndim) if i != 1)).tolist() == [False] * (4 - left) + [True] * left


def test_a_model_without_probabilities_cannot_be_explained():
    x, _ = rows()
    with pytest.raises(ModelError, match="no probabilities"):
        scores(onnx.ModelProto(), answers_of(x), spec(Reading("label", "label")))
