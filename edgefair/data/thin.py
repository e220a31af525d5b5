"""Training data made poorer on purpose, to study what that does to a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.data.config import DataConfig
from edgefair.data.sources import rows_where
from edgefair.data.table import Table


def thinned(config: DataConfig, table: Table, train: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the training rows that are kept, sorted: of each `data.thin`, the share that it keeps.

    The draw uses the seed of the split: the same rows in every run.

    Raises:
        DataError: a value that a column does not have.
    """
    kept = np.zeros(table.rows, dtype=bool)
    kept[train] = True
    for position, item in enumerate(config.thin):
        chosen = np.flatnonzero(kept & rows_where(table, item.where))
        rng = np.random.default_rng([config.split.seed, 3, position])
        kept[rng.permutation(chosen)[round(item.keep * len(chosen)) :]] = False
    return np.flatnonzero(kept)
