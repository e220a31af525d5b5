"""The draws: which rows flip, stay and go. Each is by keys, hashes of who the rows are, uint64 [rows]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgefair.data.hashing import mix, text_hash

Keys = NDArray[np.uint64]


def uniform(keys: Keys, *, seed: int, salt: str) -> NDArray[np.float64]:
    """A number in [0, 1) of every key, float64 [rows], whatever other keys there are and in whatever order.

    Args:
        salt: what the draw is for; draws with other salts are independent.
    """
    bits = mix(keys + text_hash(f"{seed} {salt}")) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def flipped(
    keys: Keys, label: NDArray[np.int64], noise: Sequence[tuple[NDArray[np.bool_], float]], *, classes: int, seed: int
) -> NDArray[np.int64]:
    """Labels after noise, int64 [rows].

    A row flips iff u < 1 - prod(1 - p_i) over the entries that it is in, with one uniform number u of its own: entries
    act as independent causes, no label flips twice, and more noise flips the same rows and others. What it becomes,
    each other class alike, does not depend on how much noise there is.

    Args:
        label: int64 [rows], none missing.
        noise: of every entry, the rows that it is about (bool [rows]) and their chance p_i to flip.
        classes: number of classes.
    """
    stays = np.ones(len(label))
    for rows, chance in noise:
        stays[rows] *= 1 - chance
    flips = uniform(keys, seed=seed, salt="noise") < 1 - stays
    away = 1 + (uniform(keys, seed=seed, salt="other label") * (classes - 1)).astype(np.int64)
    return np.where(flips, (label + away) % classes, label)


def kept(keys: Keys, stratum: NDArray[np.int64], rows: int, *, seed: int) -> NDArray[np.bool_]:
    """Which rows a sample of so many takes, stratified in proportion: bool [rows].

    The k-th row of a stratum of n, in an order that its key draws, comes at place (k - 1/2) / n, and the first places
    are taken. So strata get their seats by the method of Sainte-Lague (Webster), which never takes one back when
    there are more: a larger sample holds every smaller one.

    Args:
        stratum: of every row, int64 [rows], from 0.
        rows: size of the sample, at most that of the data.
    """
    draw = uniform(keys, seed=seed, salt="keep")
    order = np.lexsort((keys, draw, stratum))
    sizes = np.bincount(stratum)
    starts = np.cumsum(sizes) - sizes
    place = np.empty(len(keys))
    place[order] = (np.arange(len(keys)) - np.repeat(starts, sizes) + 0.5) / np.repeat(sizes, sizes)
    taken = np.zeros(len(keys), dtype=bool)
    taken[np.lexsort((keys, draw, place))[:rows]] = True
    return taken
