"""What a camera adds to a drawn picture: normal values that depend on the picture's own seed alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgefair.data.hashing import mix

NOISE_VALUES = 1 << 20


def pixel_noise(seed: NDArray[np.uint64], size: int) -> NDArray[np.float32]:
    """A stretch of a fixed sequence of normal values for each row: [rows, size, size].

    Args:
        seed: of the pictures, uint64 [rows].
    """
    values = _normal_values(size)
    start = (mix(~seed) % np.uint64(NOISE_VALUES)).astype(np.int64)
    return values[start].reshape(len(seed), size, size)


@lru_cache(maxsize=2)
def _normal_values(size: int) -> NDArray[np.float32]:
    values = np.random.default_rng(0).standard_normal(NOISE_VALUES + size * size, dtype=np.float32)
    return np.lib.stride_tricks.sliding_window_view(values, size * size)
