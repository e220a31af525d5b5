"""What a draw moves as a whole: a person, a declared id, or a content."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.data.config import DataConfig
from edgefair.data.hashing import hash_categories, numbered
from edgefair.data.rows import TableRows


def unit_keys(config: DataConfig, rows: TableRows) -> NDArray[np.uint64]:
    """A hash of every row's unit, uint64 [rows]; it depends on the unit alone, so that no other row can move it.

    The unit is the subject, else the declared id, else the row's pictures, else its features, so that equal rows are
    on one side of a split. Where `data.equal_rows` says that equal rows are different people, each is a unit; where it
    says that they are copies, ids do not part them. Units that share a picture (or copies) are one: the only ones that
    other rows can move.
    """
    arrays = rows.array_hashes
    copies = config.equal_rows == "once"
    if rows.subject is not None:
        keys = hash_categories(rows.subject)
        keys = _joined(keys, rows.row_hashes) if copies else keys
    elif rows.ids is not None and not copies:
        keys = hash_categories(rows.ids)
    elif arrays is not None:
        return arrays
    else:
        return numbered(rows.row_hashes) if config.equal_rows == "people" else rows.hashes_of(rows.features)
    return keys if arrays is None else _joined(keys, arrays)


def _joined(keys: NDArray[np.uint64], shared: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Keys of units that are one where rows of theirs have equal hashes in `shared`: the smallest of their keys.

    A unit of k keys that another joins keeps its key with probability k / (k + 1), and its place in a split more often:
    no rule that does not know which rows came first can do better for two.
    """
    # Takes as long to load as a table to read, and few have units that others join.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    unit = np.unique(keys, return_inverse=True)[1]
    other = np.unique(shared, return_inverse=True)[1] + int(unit.max()) + 1
    edges = csr_array((np.ones(len(keys), dtype=bool), (unit, other)), shape=(int(other.max()) + 1,) * 2)
    component = connected_components(edges, directed=False)[1][unit]
    least = np.full(int(component.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, component, keys)
    joined: NDArray[np.uint64] = least[component]
    return joined
