"""The rows that are asked a second time."""

import numpy as np

from edgefair.columns.stored import SLICE
from edgefair.data.files.table import Categories, Table
from edgefair.data.rows import TableRows
from edgefair.workflow.measurement.consistency import ROWS_OF_CELL, _of_every_cell

ROWS, RARE = 3 * SLICE + 5, 7


def test_as_many_rows_of_every_cell_are_asked_again_wherever_they_stand():
    rng = np.random.default_rng(0)
    label, codes = rng.integers(0, 2, ROWS), np.zeros(ROWS, dtype=np.int32)
    codes[rng.choice(np.flatnonzero(label == 0), RARE, replace=False)] = 1
    groups = Categories(("many", "few"), codes)
    rows = TableRows(Table({"x": label}), ("x",), label, {"g": groups}, None, None, ("x",))
    found = np.stack([_of_every_cell(rows, np.random.default_rng(seed)) for seed in range(40)])
    for picked in found:
        assert len(np.unique(picked)) == len(picked)
        counts = np.bincount(codes[picked] * 2 + label[picked])
        assert counts.tolist() == [ROWS_OF_CELL, ROWS_OF_CELL, RARE]
    drawn = found[(codes[found] == 0) & (label[found] == 0)]
    share = np.histogram(drawn, 4, (0, ROWS))[0] / len(drawn)
    # Four Monte-Carlo errors of 4,000 rows.
    assert np.abs(share - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / len(drawn))
