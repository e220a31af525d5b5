"""Random graphs through static INT8: what integer arithmetic does not explain against FP32 is an error.

`make fuzz-graphs` (GRAPHS=2000 in the environment) tries others every time, and as many.
"""

import os

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefair.compress.low_precision import Calibration
from edgefair.compress.low_precision.treated import treat
from edgefair.compress.quantization.prepare import prepare_graph, quantizable_nodes
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.treatments.equalize import equalize
from edgefair.graphs.inner_values import inner_values
from tests.compress.quantization.differential import int8_of, unexplained
from tests.compress.quantization.random_graphs import networks

ASKED = os.environ.get("GRAPHS")
RECIPES = (
    *[{}] * 4,
    {"activations": "int8"},
    {"weights": "per-tensor"},
    {"method": "entropy"},
    {"activations": "int8-symmetric", "runtime": "tensorrt"},
    {"activations": "uint16", "runtime": "npu"},
)


@settings(
    max_examples=int(ASKED or 50),
    derandomize=ASKED is None,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(networks(), st.sampled_from(RECIPES), st.data())
def test_int8_differs_from_fp32_by_nothing_but_rounding_and_ranges(network, recipe, data):
    model, x = network

    def in_float(layers, small):
        chosen = data.draw(st.sampled_from(("none", "small", "some")))
        if chosen == "some" and len(layers) > 1:
            return data.draw(st.sets(st.sampled_from(layers), max_size=len(layers) - 1))
        return small if chosen == "small" else ()

    made = int8_of(model, x, CalibrationRecipe(name="test", **recipe), in_float)
    if made is not None:
        assert unexplained(model, *made, x, whole=recipe.get("method") != "entropy") is None


@settings(
    max_examples=int(ASKED or 8),
    derandomize=ASKED is None,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(networks())
def test_any_graph_is_treated_equalized_ones_give_what_they_gave_and_codes_are_those_of_the_treated_one(network):
    model, x = network
    prepared = prepare_graph(model)
    if not quantizable_nodes(prepared):
        return
    outputs = [item.name for item in prepared.graph.output]
    equal = equalize(prepared, [{"x": x}])
    before, after = (next(inner_values(graph, outputs, [{"x": x}])) for graph in (prepared, equal))
    for name in outputs:
        assert np.allclose(before[name], after[name], rtol=0, atol=1e-3 * np.abs(before[name]).max(initial=1.0))
    recipe = CalibrationRecipe(name="test", method="group-mse", equalize=True, rounding="adaptive", correct_biases=True)
    on = Calibration(recipe, len(x), (), [{"x": x}], {"x": x[:4]}, {}, np.arange(len(x)) % 2)
    assert not treat(prepared, on, frozenset())[1].held
