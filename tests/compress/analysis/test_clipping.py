"""Whose activations a range cuts off, counted."""

import numpy as np
import pytest

from edgefair.compress.analysis.clipping import input_ranges, measure_clipping
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import quantize_static
from edgefair.graphs.inner_values import inner_values
from tests.compress.quantization.brightness import BRIGHT, DARK, LAYERS, batches, brightness_model, brightness_rows

CELLS = 2


@pytest.fixture(scope="module")
def prepared():
    return prepare_graph(brightness_model())


def quantized(prepared, pictures, **settings):
    ranges = calibrate(prepared, batches(pictures), method="minmax")
    return quantize_static(prepared, ranges, CalibrationRecipe(name="test", **settings))


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_a_calibration_without_the_bright_group_cuts_off_the_bright_group_and_nobody_else(prepared, activations):
    x, _, group = brightness_rows(80, seed=0)
    dark = quantized(prepared, x[group == DARK], activations=activations)
    found = {item.node: item for item in measure_clipping(prepared, dark, batches(x, 32), group, CELLS)}
    assert tuple(found) == LAYERS
    for item in found.values():
        assert item.share[DARK] == 0
        assert item.share[BRIGHT] > 0.2
    ranges = input_ranges(dark)["edges"]
    bright = x[group == BRIGHT]
    assert found["edges"].share[BRIGHT] == pytest.approx((bright > ranges.high + ranges.step / 2).mean())


def test_a_range_of_all_rows_cuts_nothing_off_and_an_empty_cell_has_no_share(prepared):
    x, _, group = brightness_rows(80, seed=0)
    for item in measure_clipping(prepared, quantized(prepared, x), batches(x), 2 * group, 3):
        assert item.share[[0, 2]].tolist() == [0, 0]
        assert np.isnan(item.share[1])


def test_codes_stand_for_the_numbers_that_the_graph_dequantizes(prepared):
    x, _, _ = brightness_rows(40, seed=0)
    model = quantized(prepared, x)
    name = next(node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear")
    values = next(inner_values(model, [name], batches(10 * x - 5)))[name]
    limits = input_ranges(model)["edges"]
    assert values.min() == pytest.approx(limits.low)
    assert values.max() == pytest.approx(limits.high)
    assert np.diff(np.unique(values)).min() == pytest.approx(limits.step, rel=1e-3)
