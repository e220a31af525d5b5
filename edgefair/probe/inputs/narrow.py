"""Whole numbers on their way to the device in no more bytes than they need: a category's codes mostly fit into one."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

import numpy as np

_SMALL = (np.iinfo(np.int8), np.iinfo(np.int16), np.iinfo(np.int32))


def narrowed(arrays: Mapping[str, np.ndarray]) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    """The arrays, whole numbers in the smallest signed type that holds them, and the type that each of those had."""
    sent = {name: array.astype(_smallest(array), copy=False) for name, array in arrays.items()}
    return sent, {name: array.dtype.name for name, array in arrays.items() if sent[name].dtype != array.dtype}


def widened(arrays: Mapping[str, np.ndarray], types: Mapping[str, str]) -> Dict[str, np.ndarray]:
    """What `narrowed` was given, from what it returned."""
    return {name: array.astype(types.get(name, array.dtype), copy=False) for name, array in arrays.items()}


def _smallest(array: np.ndarray) -> np.dtype:
    if array.dtype.kind in "iu" and array.dtype.itemsize > 1 and array.size:
        least, most = array.min(), array.max()
        for small in _SMALL:
            if small.bits < 8 * array.dtype.itemsize and small.min <= least and most <= small.max:
                return small.dtype
    return array.dtype
