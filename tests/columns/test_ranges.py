"""What is sorted range by range is what is sorted at once."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.columns import ranges, stored
from edgefair.data.files.table import Categories, Table
from edgefair.data.identity.equal_rows import repeated_rows
from edgefair.data.rows import TableRows

HASHES = st.lists(st.integers(0, 3) | st.integers(0, 2**64 - 1) | st.just(2**64 - 1), max_size=60)
MOST = 5


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch):
    """No column is held in memory, and no more than MOST values are sorted at a time."""
    monkeypatch.setattr(stored, "HELD_BYTES", 0)
    monkeypatch.setattr(stored, "SMALL_BYTES", 0)
    monkeypatch.setattr(ranges, "MOST", MOST)


@given(HASHES, HASHES)
def test_ranges_hold_what_a_plain_sort_finds_of_every_column_and_equal_values_together(one, other):
    columns = [np.array(values, dtype=np.uint64) for values in (one, other)]
    found = list(ranges.in_ranges(*columns))
    for place, column in enumerate(columns):
        values, times = np.unique(column, return_counts=True)
        np.testing.assert_array_equal(np.concatenate([each[place].values for each in found]), values)
        np.testing.assert_array_equal(np.concatenate([each[place].times for each in found]), times)
        repeated = [part for each in found for part in each[place].repeated()]
        np.testing.assert_array_equal(np.concatenate(repeated), np.sort(column))
        assert all(len(part) <= MOST for part in repeated)
    held = [np.concatenate([part.values for part in each]) for each in found]
    assert all(len(values) <= MOST or len(np.unique(values)) == 1 for values in held)
    filled = [values for values in held if len(values)]
    assert all(int(before.max()) < int(after.min()) for before, after in itertools.pairwise(filled))
    assert ranges.different(columns[0]) == len(set(one))


def rows_of(codes, labels, groups, subjects):
    coded = {"y": labels, "g": groups}
    column = {name: Categories(("a", "b"), np.array(part, dtype=np.int32)) for name, part in coded.items()}
    return TableRows(
        table=Table({"x": np.array(codes, dtype=np.float32), **column}),
        features=("x",),
        label=np.array(labels, dtype=np.int64),
        sensitive={"g": column["g"]},
        ids=None,
        subject=None if subjects is None else Categories(("s", "t"), np.array(subjects, dtype=np.int32)),
        content=("x", "y", "g"),
    )


@given(st.data())
def test_equal_rows_are_those_that_a_plain_sort_finds(data):
    rows = data.draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 1), *[st.integers(0, 1)] * 2), min_size=1, max_size=80)
    )
    codes, labels, groups, subjects = (list(part) for part in zip(*rows, strict=True))
    told = rows_of(codes, labels, groups, subjects if data.draw(st.booleans()) else None)
    found = repeated_rows(told, features=["x"], attributes=["g"], label="y", classes=("a", "b"))
    contents = [row[:3] for row in rows]
    counted = rows if told.subject is not None else list(enumerate(contents))
    people = [(row[:3] if told.subject is not None else row[1]) for row in dict.fromkeys(counted)]
    cells = {}
    for content in people:
        if content[1] < 0:  # a label design leaves rows without a label
            continue
        cells.setdefault(content[1:], []).append(content)
    material = {
        cell: (len(own) - len(set(own)), len(own))
        for cell, own in cells.items()
        if len(own) - len(set(own)) >= 5 and len(own) - len(set(own)) > 0.05 * len(own)
    }
    assert found[0] == len(rows) - len(set(contents))
    if not material:
        assert found[1] is None
        return
    worst = max(extra / of for extra, of in material.values())
    said = {
        f"{extra:,} of {of:,} with g '{'ab'[group]}' and label '{'ab'[label]}'"
        for (label, group), (extra, of) in material.items()
        if extra / of == worst
    }
    assert found[1] in said
