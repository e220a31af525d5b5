"""Cells that are made on demand are made before they are asked for, and arrive as if they were not."""

import threading

import numpy as np

from edgefair.data.files.lazy import ahead, cores


def test_later_batches_are_made_while_the_first_is_in_use_and_no_more_than_a_few():
    made, later = [], threading.Event()

    def make(start, stop):
        made.append(start)
        if start > 0:
            later.set()
        return {"x": np.arange(start, stop)}

    rows, size = 4 * (cores() + 10) + 3, 4
    batches = ahead(make, rows, size)
    first = next(batches)
    assert later.wait(30), "nobody has asked for a second batch"
    assert len(made) <= cores() + 2
    rest = list(batches)
    assert np.array_equal(np.concatenate([batch["x"] for batch in (first, *rest)]), np.arange(rows))
    assert sorted(made) == list(range(0, rows, size))
