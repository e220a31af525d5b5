"""Distinct values are numpy's, by faster ways."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.measure.distinct import compact, distinct

DRAWS = [(0, 1, 1), (1, 1, 3), (500, 7, 7), (500, 7, 90), (500, 100_000, 100_000), (4_000, 300, 16_001)]


@pytest.mark.parametrize(("rows", "largest", "size"), DRAWS)
def test_codes_become_places_among_those_that_occur(rows, largest, size):
    codes = np.random.default_rng(rows).integers(0, largest, rows)
    present, place = compact(codes, size)
    expected = np.unique(codes, return_inverse=True)
    np.testing.assert_array_equal(present, expected[0])
    np.testing.assert_array_equal(place, expected[1])
    assert place.dtype == np.int64


@given(st.lists(st.integers(-3, 3)))
def test_distinct_values_are_numpys(values):
    for kind in (np.int64, np.float32):
        assert np.array_equal(distinct(np.array(values, dtype=kind)), np.unique(np.array(values, dtype=kind)))
