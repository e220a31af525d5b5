"""How much two sets of rows have in common, from a few numbers of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Hashes that a sketch keeps.
SKETCH_ROWS = 256


def sketch_of(hashes: NDArray[np.uint64]) -> tuple[int, ...]:
    """The SKETCH_ROWS smallest distinct hashes of a set of rows, ascending: a k-minimum-values synopsis.

    Beyer et al., On synopses for distinct-value estimation under multiset operations, SIGMOD 2007. It depends neither
    on the order of the rows nor on how often each of them occurs.

    Args:
        hashes: uint64 [rows], as good as uniform.
    """
    return tuple(np.unique(hashes)[:SKETCH_ROWS].tolist())


def shared(one: Sequence[int], other: Sequence[int]) -> float:
    """Estimated share of the smaller set's rows that the other one holds too, from the sketches of both.

    Up to the smaller one of the largest hashes, each sketch lists all rows of its set, so these are a sample of both:
    share = common / min(in one, in the other). 0 where a sketch is empty. With 256 hashes of sets of one size its
    standard error is at most 0.031, and at a share of 0.05 it is 0.014.
    """
    if not one or not other:
        return 0.0
    # A set with fewer rows than a sketch holds is listed whole.
    limit = min(max(item) if len(item) >= SKETCH_ROWS else np.iinfo(np.uint64).max for item in (one, other))
    sampled = [{row for row in item if row <= limit} for item in (one, other)]
    return len(sampled[0] & sampled[1]) / max(1, min(map(len, sampled)))
