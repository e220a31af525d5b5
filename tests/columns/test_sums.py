"""Sums and variances of columns that are read slice by slice are numpy's, to the last bit."""

import numpy as np
import pytest

from edgefair.columns.stored import SLICE, slices
from edgefair.columns.sums import total, variance


@pytest.mark.parametrize("rows", [1, 7, 129, SLICE, SLICE + 1, 2 * SLICE + 9, 5 * SLICE + 12_345])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_sums_by_slices_are_numpys_to_the_last_bit(rows, kind):
    column = np.random.default_rng(rows).normal(size=rows).astype(kind)
    values = column.astype(np.float64)
    other = np.arange(rows) % 3
    assert total(column) == values.sum()
    assert total(column, lambda part, at: part * other[at], other) == (values * other).sum()
    assert variance(column) == values.var()
    assert variance(column, by=7) == (values / 7).var()
    if rows > 1:
        assert variance(column, ddof=1) == values.var(ddof=1)


def test_the_last_bit_would_tell():
    columns = [np.random.default_rng(seed).normal(size=5 * SLICE + 12_345) for seed in range(5)]
    assert any(sum(values[part].sum() for part in slices(len(values))) != values.sum() for values in columns)
