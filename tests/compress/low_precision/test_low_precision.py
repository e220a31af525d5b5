"""What every low precision promises to the repair and to the explanation, on small graphs."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgefair.compress.low_precision import LOW_PRECISIONS, Calibration
from edgefair.compress.low_precision.base import Look
from edgefair.compress.names import CALIBRATED, INT8
from edgefair.compress.quantization.placement import SMALL
from edgefair.compress.quantization.prepare import prepare_graph, weight_name
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision
from edgefair.compress.search.search import FREE
from edgefair.errors import ModelError
from edgefair.graphs.inner_values import inner_values
from tests.compress.graphs import graph, layers, normal, tokens

ROWS = np.random.default_rng(0).normal(size=(32, 16)).astype(np.float32)
WORDS = np.random.default_rng(0).integers(0, 2000, (32, 6))


def opened(name, model, rows):
    batches = [{"x": rows}]

    def calibration():
        recipe = CalibrationRecipe(name="test", **LOW_PRECISIONS[name].recipe)
        return Calibration(recipe, len(rows), ("few rows",), batches, batches[0], {})

    return LOW_PRECISIONS[name](prepare_graph(model), calibration)


@pytest.fixture(params=list(LOW_PRECISIONS))
def name(request):
    return request.param


@pytest.fixture(params=["numbers", "texts"])
def low(name, request):
    model, rows = (layers(16, 64, 32, 4), ROWS) if request.param == "numbers" else (tokens(), WORDS)
    return opened(name, model, rows)


def float_layers(low, made):
    """Layers whose weight or table is an FP32 constant of a graph."""
    weights = {weight_name(node): node.name for node in low.prepared.graph.node if node.name in low.nodes}
    left = {item.name for item in made.graph.initializer if item.data_type == TensorProto.FLOAT}
    return {node for weight, node in weights.items() if {weight, f"{weight}_Transposed"} & left}


def test_a_layer_is_left_in_float_alone_or_converted_alone(low):
    assert float_layers(low, low.convert(Precision())) == set()
    for node in low.nodes:
        without, alone = low.convert(Precision(float_nodes=frozenset({node}))), low.alone(node)
        assert float_layers(low, without) == {node}
        assert float_layers(low, alone) == set(low.nodes) - {node}
        low.check_made(without)
        low.check_made(alone)


def test_equal_choices_give_equal_files_that_say_nothing_of_their_preparation(low):
    made = low.convert(Precision(float_nodes=frozenset(low.nodes[:1])))
    assert made.SerializeToString() == low.convert(Precision(float_nodes=frozenset(low.nodes[:1]))).SerializeToString()
    assert {item.key for item in low.prepared.metadata_props}
    assert not made.metadata_props


def test_what_it_makes_computes_what_the_graph_does(low, name):
    rows = {"x": ROWS if low.prepared.graph.input[0].type.tensor_type.elem_type == 1 else WORDS}
    wanted, found = (next(inner_values(item, ["y"], [rows]))["y"] for item in (low.prepared, low.convert(Precision())))
    share = 0.2 if name == "w4" else 0.05
    assert 0 < np.abs(found - wanted).max() < share * np.abs(wanted).max()


def test_only_what_is_calibrated_reads_rows_and_knows_the_moves_that_cost_no_time(name):
    asked = []

    def calibration():
        asked.append(name)
        recipe = CalibrationRecipe(name="test", **LOW_PRECISIONS[name].recipe)
        return Calibration(recipe, 32, ("few rows",), [{"x": ROWS}], {"x": ROWS}, {})

    low = LOW_PRECISIONS[name](prepare_graph(layers(16, 64, 4)), calibration)
    calibrated = low.uncalibrated is None
    free = FREE if low.unsaturated else FREE - {"seven-bit"}
    assert (bool(asked), low.notes[:1], low.free) == (
        (True, ("few rows",), free) if calibrated else (False, (), frozenset())
    )
    assert ("calibration" in low.settings) == calibrated


def test_activations_are_looked_at_in_every_cell(low):
    rows = ROWS if low.prepared.graph.input[0].type.tensor_type.elem_type == 1 else WORDS
    made, told = low.convert(Precision()), []
    harm = low.audit(Look(made, made, [{"x": rows}], np.arange(32) % 2, 2, 0, told.append))
    assert told
    shares = [*harm.clipping.values(), *harm.overflow.values(), *(item.share for item in harm.saturation.values())]
    assert shares or any("leave activations in float" in said for said in harm.notes)
    assert all(share.shape == (2,) for share in shares)


def test_static_int8_leaves_small_layers_to_the_choice():
    low = opened("static", layers(16, 64, SMALL // 64, 4), ROWS)
    assert low.small == {"layer0", "layer2"}
    assert set(low.nodes) == {"layer0", "layer1", "layer2"}
    assert not low.notes[1:]
    tiny = opened("static", layers(16, 64, 4), ROWS)
    assert not tiny.small
    assert "not faster: omit --int8" in tiny.notes[1]


def test_the_table_of_names_says_which_int8_rows_calibrate():
    assert {name for name in INT8 if LOW_PRECISIONS[name].uncalibrated is None} == CALIBRATED


def test_static_int8_needs_a_batch_and_dynamic_int8_does_not():
    model = layers(16, 64, 4)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(ModelError, match="takes exactly 1 row at a time"):
        LOW_PRECISIONS["static"].check(model)
    LOW_PRECISIONS["dynamic"].check(model)
    LOW_PRECISIONS["fp16"].check(model)


def test_what_has_no_codes_is_named_by_int8_and_not_by_fp16(name):
    rng = np.random.default_rng(0)
    node = onnx.helper.make_node
    nodes = [node("MatMul", ["x", "w"], ["h"], "usual"), node("MatMul", ["h", "v"], ["y"], "vector")]
    low = opened(name, graph(nodes, {"w": normal(rng, 16, 16), "v": normal(rng, 16)}, x=(16,), y=()), ROWS)
    assert list(low.left) == ([] if name == "fp16" else ["vector"])
