"""After correction the mean logits are those of the dense model, whatever the sizes of the groups."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgefair.compress.quantization.bias_correction import correct_bias
from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.errors import DataError, ModelError
from edgefair.graphs.inner_values import inner_values
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, Reading
from tests.compress.quantization.brightness import INPUT, OUTPUT, brightness_model, brightness_rows, int8_of

SPEC = ModelSpec((InputSpec(INPUT, "float32", array=INPUT),), Reading(OUTPUT, "logits"), ("horizontal", "vertical"))
WRONG = np.array([0.5, -0.25], np.float32)


@pytest.fixture(scope="module")
def rows():
    """60 bright rows and 20 dark ones, and the cell of each."""
    x, label, group = brightness_rows(160, seed=0)
    kept = np.flatnonzero((group == 1) | (np.arange(160) < 40))
    return x[kept], (2 * group + label)[kept]


def answers_of(x):
    def answers(model, names):
        return list(next(inner_values(model, names, [{INPUT: x}])).values())

    return answers


def logits(model, x):
    return answers_of(x)(model, [OUTPUT])[0].astype(np.float64)


def balanced_mean(values, cell):
    return np.mean([values[cell == index].mean(axis=0) for index in np.unique(cell)], axis=0)


def spoiled(bias):
    """A model whose last layer adds what it should not: to its bias, by a node of its own, or nowhere."""
    model = onnx.ModelProto()
    model.CopyFrom(brightness_model())
    gemm = model.graph.node[-1]
    if bias == "in the layer":
        next(item for item in model.graph.initializer if item.name == "b3").CopyFrom(
            numpy_helper.from_array(WRONG, "b3")
        )
    else:
        del gemm.input[2]
        if bias == "behind it":
            gemm.output[0] = "raw"
            model.graph.initializer.append(numpy_helper.from_array(WRONG, "added"))
            model.graph.node.append(helper.make_node("Add", ["raw", "added"], [OUTPUT], "add"))
        else:
            weight = next(item for item in model.graph.initializer if item.name == "w3")
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.1), "w3"))
    return model


@pytest.mark.parametrize("bias", ["in the layer", "behind it", "nowhere"])
@pytest.mark.parametrize("compressed", ["float", "static", "dynamic"])
def test_mean_logits_of_cells_that_weigh_alike_are_put_back(rows, bias, compressed):
    x, cell = rows
    dense, model = brightness_model(), spoiled(bias)
    if compressed == "static":
        model = int8_of(model)
    if compressed == "dynamic":
        model = quantize_dynamic(prepare_graph(model), reduce_range=False)
    wanted = balanced_mean(logits(dense, x), cell)
    before = balanced_mean(logits(model, x), cell)
    corrected, shift = correct_bias(model, dense, SPEC, answers_of(x), cell)
    assert np.abs(wanted - before).max() > 0.05
    assert shift == pytest.approx(wanted - before, abs=1e-4)
    assert balanced_mean(logits(corrected, x), cell) == pytest.approx(wanted, abs=0.01)
    added = len(corrected.graph.node) - len(model.graph.node)
    assert added == (1 if bias == "nowhere" else 0)
    moved = logits(corrected, x) - logits(model, x)
    assert moved == pytest.approx(np.broadcast_to(shift, moved.shape), abs=0.01)


def test_a_large_group_counts_as_much_as_a_small_one():
    x, label, group = brightness_rows(160, seed=0)
    cell = 2 * group + label
    few = np.flatnonzero((group == 1) | (np.arange(160) < 12))
    model = spoiled("nowhere")
    _, of_all = correct_bias(model, brightness_model(), SPEC, answers_of(x), cell)
    _, of_few = correct_bias(model, brightness_model(), SPEC, answers_of(x[few]), cell[few])
    plain = (logits(brightness_model(), x[few]) - logits(model, x[few])).mean(axis=0)
    assert np.abs(of_few - of_all).max() < np.abs(plain - of_all).max() / 3


def test_without_rows_or_with_other_classes_nothing_is_corrected(rows):
    x, cell = rows
    with pytest.raises(DataError, match="no rows"):
        correct_bias(brightness_model(), brightness_model(), SPEC, answers_of(x), cell[:0])
    wide = brightness_model()
    for name, shape in (("w3", (3, 16)), ("b3", (3,))):
        item = next(item for item in wide.graph.initializer if item.name == name)
        item.CopyFrom(numpy_helper.from_array(np.zeros(shape, np.float32), name))
    wide.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3
    with pytest.raises(ModelError, match=r"gives logits \(3,\)"):
        correct_bias(wide, brightness_model(), SPEC, answers_of(x), cell)
