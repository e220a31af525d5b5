"""Distinct values are those of numpy, however many there are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgefair.measure.distinct import distinct


@given(st.lists(st.integers(-3, 3)))
def test_distinct_values_are_numpys(values):
    for kind in (np.int64, np.float32):
        assert np.array_equal(distinct(np.array(values, dtype=kind)), np.unique(np.array(values, dtype=kind)))
