"""Random graphs through static INT8: what integer arithmetic does not explain against FP32 is an error.

`make fuzz-graphs` (GRAPHS=2000 in the environment) tries others every time, and as many.
"""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefair.compress.quantization.recipe import CalibrationRecipe
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
    max_examples=int(ASKED or 100),
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
