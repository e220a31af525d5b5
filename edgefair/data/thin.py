"""Training data made poorer on purpose, to study what that does to a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.data.config import DataConfig
from edgefair.data.files.table import Table
from edgefair.data.hashing import drawn, numbered
from edgefair.data.values import rows_where


def thinned(
    config: DataConfig, table: Table, train: NDArray[np.int64], hashes: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Positions of the training rows that are kept, sorted: of each `data.thin`, about the share that it keeps.

    The draw uses the seed of the split and the content of each row: the same rows in every run.

    Args:
        hashes: of the content of every row of the table, uint64 [rows].

    Raises:
        DataError: a value that a column does not have.
    """
    kept = np.ones(len(train), dtype=bool)
    keys = numbered(hashes[train])
    for position, item in enumerate(config.thin):
        chosen = rows_where(table, item.where)[train]
        kept &= ~chosen | drawn(keys, item.keep, seed=config.split.seed, salt=f"thin {position}")
    return train[kept]
