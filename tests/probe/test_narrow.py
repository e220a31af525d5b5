"""Whole numbers travel in few bytes, and the model sees them as they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgefair.probe.inputs.narrow import narrowed, widened
from edgefair.probe.wire import DTYPES

WHOLE = sorted(name for name in DTYPES if np.dtype(name).kind in "iu")
arrays = hnp.arrays(st.sampled_from(sorted(DTYPES)).map(np.dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))


@given(st.dictionaries(st.text(max_size=3), arrays, max_size=3))
def test_what_is_narrowed_is_widened_to_the_same_bytes(items):
    found = widened(*narrowed(items))
    assert found.keys() == items.keys()
    for name, array in items.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("name", WHOLE)
def test_the_edges_of_every_type_come_back(name):
    limits = [np.iinfo(kind) for kind in WHOLE]
    edges = {edge + step for limit in limits for edge in (limit.min, limit.max) for step in (-1, 0, 1)}
    kind = np.iinfo(name)
    for edge in edges:
        if kind.min <= edge <= kind.max:
            array = np.array([0, edge], dtype=name)
            sent, types = narrowed({"x": array})
            assert sent["x"].tolist() == [0, edge]
            assert widened(sent, types)["x"].dtype == array.dtype


def test_codes_of_categories_travel_in_one_byte_each_and_nothing_grows():
    codes, pixels, numbers = np.array([[-1, 0, 120]], dtype=np.int32), np.ones((2, 2), dtype=np.uint8), np.ones(3)
    sent, types = narrowed({"codes": codes, "pixels": pixels, "numbers": numbers})
    assert {name: array.nbytes for name, array in sent.items()} == {"codes": 3, "pixels": 4, "numbers": 24}
    assert types == {"codes": "int32"}
    assert sent["pixels"] is pixels
    assert narrowed({"ids": np.array([30_000], dtype=np.int64)})[0]["ids"].dtype == np.int16
