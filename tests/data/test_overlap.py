from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgefair.data.files.table import Categories, Table
from edgefair.data.identity.overlap import check_overlap
from edgefair.data.identity.seen import SeenRows
from edgefair.data.rows import TableRows
from edgefair.errors import DataError


def rows(features, ids=None):
    features = np.asarray(features)
    n = len(features)
    sex = Categories(("F", "M"), (np.arange(n) % 2 * 0).astype(np.int32))
    label = np.zeros(n, dtype=np.int64)
    table = Table({"x": features, "sex": sex})
    return TableRows(
        table, ("x",), label, {"sex": sex}, None if ids is None else Categories.of(ids), None, ("x", "sex")
    )


def seen(*parts):
    return SeenRows.of(parts, ("x",))


def test_people_who_answer_alike_are_noted_and_not_called_a_leak():
    rng = np.random.default_rng(0)
    train, audit = rng.integers(0, 3000, 4000).astype(float), rng.integers(0, 3000, 2000).astype(float)
    overlap = check_overlap(seen(rows(train)), rows(audit))
    assert overlap.shared == np.isin(audit, train).sum()
    assert "not a leak" in overlap.note


def test_training_rows_that_were_copied_into_the_audit_set_are_a_leak():
    rng = np.random.default_rng(0)
    train = rng.random(4000)
    audit = np.concatenate([rng.random(1900), train[:100]])
    with pytest.raises(DataError, match="100 of 2000 audit rows equal a training row"):
        check_overlap(seen(rows(train)), rows(audit))


def test_validation_rows_are_seen_too():
    rng = np.random.default_rng(0)
    validation = rng.random(500)
    with pytest.raises(DataError, match="500 of 500"):
        check_overlap(seen(rows(rng.random(4000)), rows(validation)), rows(validation))


def test_without_a_shared_row_there_is_nothing_to_say():
    assert check_overlap(seen(rows(np.arange(10.0))), rows(np.arange(10.0, 20.0))).note is None


def test_ten_copies_are_a_leak_where_training_rows_never_equal_each_other():
    rng = np.random.default_rng(0)
    train = rng.random(3000)
    audit = np.concatenate([rng.random(990), train[:10]])
    with pytest.raises(DataError, match="10 of 1000 audit rows equal a training row"):
        check_overlap(seen(rows(train)), rows(audit))


def test_a_few_equal_rows_are_told_and_not_explained_away():
    rng = np.random.default_rng(0)
    train = rng.random(3000)
    note = check_overlap(seen(rows(train)), rows(np.concatenate([rng.random(998), train[:2]]))).note
    assert note.startswith("2 of 1,000 audit rows")
    assert "not a leak" not in note


def test_copies_show_among_people_who_answer_alike():
    rng = np.random.default_rng(0)
    people = np.where(rng.random(6000) < 0.3, rng.integers(0, 600, 6000), np.arange(6000) + 1000).astype(float)
    train, audit = people[:4000], people[4000:].copy()
    assert "not a leak" in check_overlap(seen(rows(train)), rows(audit)).note
    audit[:100] = rng.choice(train[train >= 1000], 100, replace=False)
    with pytest.raises(DataError, match="equal a training row in every feature"):
        check_overlap(seen(rows(train)), rows(audit))


def test_training_rows_that_were_repeated_do_not_hide_their_copies():
    rng = np.random.default_rng(0)
    train = rng.random(1000)
    with pytest.raises(DataError, match="100 of 500 audit rows"):
        check_overlap(seen(rows(np.repeat(train, 2))), rows(np.concatenate([rng.random(400), train[:100]])))


@given(
    seed=st.integers(0, 2**32 - 1),
    distinct=st.integers(2, 3000),
    share=st.floats(0.05, 0.6),
    tilt=st.floats(0.0, 1.0),
)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_no_honest_split_is_called_a_leak_even_where_it_depends_on_the_content(seed, distinct, share, tilt):
    """Rows are audited independently of each other, people of one kind more often than others."""
    rng = np.random.default_rng(seed)
    people = rng.integers(0, distinct, 1500).astype(float)
    audited = rng.random(1500) < np.where(people % 3 == 0, share, share * tilt)
    assume(0 < audited.sum() < 1500)
    overlap = check_overlap(seen(rows(people[~audited])), rows(people[audited]))
    assert overlap.shared == np.isin(people[audited], people[~audited]).sum()


def test_an_equal_picture_is_a_leak_whatever_its_id_and_group():
    rng = np.random.default_rng(0)
    train, audit = rng.random((20, 4, 4)), rng.random((20, 4, 4))
    audit[7] = train[3]
    known, judged = rows(train, ids=[f"a{i}" for i in range(20)]), rows(audit, ids=[f"b{i}" for i in range(20)])
    other = Categories(("F", "M"), np.ones(20, dtype=np.int32))
    judged = replace(judged, sensitive={"sex": other}, table=Table({**judged.table.columns, "sex": other}))
    with pytest.raises(DataError, match=r"1 of 20 audit rows are byte-for-byte copies of training rows \(audit"):
        check_overlap(seen(known), judged)


def test_a_matrix_of_answers_is_compared_as_a_table():
    rng = np.random.default_rng(0)
    train, audit = (rng.integers(0, 8, (n, 3)).astype(float) for n in (600, 300))
    assert "not a leak" in check_overlap(seen(rows(train)), rows(audit)).note


def test_one_equal_array_is_a_leak():
    rng = np.random.default_rng(0)
    train, audit = rng.random((50, 4, 4)), rng.random((50, 4, 4))
    assert check_overlap(seen(rows(train)), rows(audit)).shared == 0
    audit[7] = train[3]
    with pytest.raises(DataError, match="1 of 50 audit rows are byte-for-byte"):
        check_overlap(seen(rows(train)), rows(audit))


def test_ids_and_content_are_both_compared():
    same = np.ones(4)
    known = seen(rows(same, ids=["a", "b", "c", "d"]))
    assert "not a leak" in check_overlap(known, rows(same, ids=["e", "f", "g", "h"])).note
    with pytest.raises(DataError, match="1 row ids are in the training and the audit split, for example 'd'"):
        check_overlap(known, rows(same * 2, ids=["e", "f", "g", "d"]))
    train = np.random.default_rng(0).random(4000)
    with pytest.raises(DataError, match="4000 of 4000 audit rows equal a training row"):
        check_overlap(seen(rows(train, ids=np.arange(4000))), rows(train, ids=np.arange(4000, 8000)))
