"""A drawn split decides about every unit by itself: other rows, and their order, move nobody."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.data.config import DataConfig, SplitConfig
from edgefair.data.files.table import Categories, Table
from edgefair.data.hashing import drawn, hash_rows, numbered
from edgefair.data.identity.split import split_rows
from edgefair.data.identity.units import unit_keys
from edgefair.data.rows import TableRows

KINDS = ("content", "id", "subject", "people", "picture", "once")


def config(**changes):
    return DataConfig(source="t.npz", label="y", positive="1", sensitive=("sex",), **changes)


def rule(kind):
    return config(equal_rows=kind if kind in ("people", "once") else "refuse")


@st.composite
def tables(draw, most=40):
    """Rows of few distinct answers, under ids that are all different."""
    n = draw(st.integers(1, most))
    column = st.lists(st.integers(0, 3), min_size=n, max_size=n).map(np.array)
    return {name: draw(column) for name in ("x", "y", "sex", "who", "picture")} | {"id": np.arange(n)}


def joined(one, other):
    return {name: np.concatenate([one[name], other[name] + (1000 if name == "id" else 0)]) for name in one}


def rows(table, kind):
    n = len(table["id"])
    label, sex = Categories.of(table["y"]), Categories.of(table["sex"])
    columns = {"x": table["x"].astype(np.float32), "y": label, "sex": sex}
    features = ("x",)
    if kind == "picture":
        columns["face"] = np.repeat(table["picture"], 4).reshape(n, 2, 2).astype(np.float32)
        features = ("x", "face")
    return TableRows(
        Table(columns),
        features,
        table["y"].astype(np.int64),
        {"sex": sex},
        Categories.of(table["id"]) if kind in ("id", "once") else None,
        Categories.of(table["who"]) if kind == "subject" else None,
        (*features, "y", "sex"),
    )


def sides(table, kind, seed=0):
    """Whether each row audits; rows that cannot be told from each other sorted among themselves."""
    found = rows(table, kind)
    side = drawn(unit_keys(rule(kind), found), 0.4, seed=seed, salt="audit")
    return found, side


def told(found, side):
    """What anybody could see of a split: how often each content (and id, and subject) is on each side."""
    who = found.subject if found.subject is not None else found.ids
    names = [None] * len(side) if who is None else who.text()
    return sorted(zip(found.row_hashes.tolist(), map(str, names), side.tolist(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@given(table=tables(), data=st.data(), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_shuffling_moves_nobody(kind, table, data, seed):
    order = np.array(data.draw(st.permutations(range(len(table["id"])))))
    shuffled = {name: column[order] for name, column in table.items()}
    assert told(*sides(table, kind, seed)) == told(*sides(shuffled, kind, seed))


@pytest.mark.parametrize("kind", KINDS)
@given(table=tables(), more=tables(10), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_appended_rows_move_nobody(kind, table, more, seed):
    _, before = sides(table, kind, seed)
    _, after = sides(joined(table, more), kind, seed)
    assert np.array_equal(before, after[: len(before)])


@given(table=tables(), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_equal_features_subjects_and_pictures_are_on_one_side(table, seed):
    for kind, unit in (("content", "x"), ("subject", "who"), ("picture", "picture")):
        _, side = sides(table, kind, seed)
        for value in np.unique(table[unit]):
            assert len(np.unique(side[table[unit] == value])) == 1


@given(table=tables(), more=tables(3))
@settings(max_examples=60, deadline=None)
def test_subjects_that_share_a_picture_are_one_and_only_such_can_be_moved(table, more):
    def keys(table):
        found = rows(table, "picture")
        return unit_keys(config(), replace(found, subject=Categories.of(table["who"])))

    whole = joined(table, more)
    before, after = keys(table), keys(whole)
    for unit in ("who", "picture"):
        for value in np.unique(whole[unit]):
            assert len(np.unique(after[whole[unit] == value])) == 1
    moved = before != after[: len(before)]
    joining = np.isin(before, before[np.isin(table["picture"], more["picture"]) | np.isin(table["who"], more["who"])])
    assert not (moved & ~joining).any()


def test_people_who_share_their_answers_are_drawn_one_by_one():
    n = 10_000
    table = dict.fromkeys(("x", "y", "sex", "who", "picture"), np.zeros(n, dtype=np.int64)) | {"id": np.arange(n)}
    assert sides(table, "people")[1].mean() == pytest.approx(0.4, abs=0.02)
    assert len(np.unique(sides(table, "content")[1])) == 1


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_the_shares_are_binomial_and_draws_are_independent(share):
    keys = numbered(np.zeros(100_000, dtype=np.uint64))
    audit = drawn(keys, share, seed=0, salt="audit")
    deviation = 4 * np.sqrt(share * (1 - share) / len(keys))
    assert audit.mean() == pytest.approx(share, abs=deviation)
    for other in (drawn(keys, share, seed=1, salt="audit"), drawn(keys, share, seed=0, salt="validation")):
        assert (audit & other).mean() == pytest.approx(share**2, abs=deviation)


def test_validation_rows_come_out_of_the_training_rows_wherever_the_split_comes_from():
    n = 4000
    table = {name: np.arange(n) for name in ("x", "who", "picture", "id")} | {
        "y": np.arange(n) % 2,
        "sex": np.arange(n) % 2,
    }
    found = rows(table, "id")
    drawn_roles = split_rows(config(validation=0.2), found, column=None)
    given_column = Categories(("a", "b"), (np.arange(n) % 4 == 0).astype(np.int32))
    chosen = config(validation=0.2, split=SplitConfig(column="part", train=("a",), audit=("b",)))
    for roles in (drawn_roles, split_rows(chosen, found, column=given_column)):
        assert sorted(np.concatenate([*roles.values()])) == list(range(n))
        seen = len(roles["train"]) + len(roles["validation"])
        assert len(roles["validation"]) == pytest.approx(0.2 * seen, rel=0.15)


def test_a_number_is_put_to_equal_hashes_alone():
    hashes = hash_rows({"x": np.array([3, 1, 3, 3, 1])}, rows=5)
    found = numbered(hashes)
    assert len(np.unique(found)) == 5
    assert np.array_equal(np.sort(numbered(hashes[[1, 0, 4]])), np.sort(found[[0, 1, 4]]))
    assert len(numbered(hashes[:0])) == 0
