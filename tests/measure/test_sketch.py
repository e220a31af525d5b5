"""What two sets of rows have in common, told from sketches of them, against the truth."""

import numpy as np
import pytest

from edgefair.measure.sketch import SKETCH_ROWS, shared, sketch_of


def rows(start, stop):
    """Different rows have different hashes, and the same rows the same."""
    return np.random.default_rng(7).integers(0, 2**64, 100_000, dtype=np.uint64)[start:stop]


def test_a_sketch_depends_neither_on_the_order_nor_on_repetitions():
    some = rows(0, 5000)
    assert sketch_of(np.random.default_rng(0).permutation(np.concatenate([some, some[:100]]))) == sketch_of(some)
    assert len(sketch_of(some)) == SKETCH_ROWS
    assert list(sketch_of(some)) == sorted(some.tolist())[:SKETCH_ROWS]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_the_share_of_sets_of_one_size_is_estimated_within_four_standard_errors(share):
    common = int(20_000 * share)
    found = shared(sketch_of(rows(0, 20_000)), sketch_of(rows(20_000 - common, 40_000 - common)))
    assert found == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / SKETCH_ROWS) + 1e-12)


def test_a_part_of_a_set_is_known_as_its_part():
    whole = sketch_of(rows(0, 40_000))
    for part in (20_000, 4_000, 1_000):
        assert shared(sketch_of(rows(0, part)), whole) == 1.0
        assert shared(whole, sketch_of(rows(60_000, 60_000 + part))) == 0.0


def test_small_sets_are_compared_exactly():
    assert shared(sketch_of(rows(0, 100)), sketch_of(rows(90, 190))) == 0.1
    assert shared(sketch_of(rows(0, 10)), sketch_of(rows(0, 200))) == 1.0
    assert shared((), sketch_of(rows(0, 10))) == 0.0
