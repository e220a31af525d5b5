import numpy as np
import pytest

from edgefair.data.overlap import check_overlap
from edgefair.data.rows import TableRows
from edgefair.data.table import Categories, Table
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


def test_people_who_answer_alike_are_noted_and_not_called_a_leak():
    rng = np.random.default_rng(0)
    train, audit = rng.integers(0, 3000, 4000).astype(float), rng.integers(0, 3000, 2000).astype(float)
    overlap = check_overlap([rows(train)], rows(audit))
    assert overlap.shared == np.isin(audit, train).sum()
    assert "not a leak" in overlap.note


def test_training_rows_that_were_copied_into_the_audit_set_are_a_leak():
    rng = np.random.default_rng(0)
    train = rng.random(4000)
    audit = np.concatenate([rng.random(1900), train[:100]])
    with pytest.raises(DataError, match="100 of 2000 audit rows equal a training row"):
        check_overlap([rows(train)], rows(audit))


def test_validation_rows_are_seen_too():
    rng = np.random.default_rng(0)
    validation = rng.random(500)
    with pytest.raises(DataError, match="500 of 500"):
        check_overlap([rows(rng.random(4000)), rows(validation)], rows(validation))


def test_without_a_shared_row_there_is_nothing_to_say():
    assert check_overlap([rows(np.arange(10.0))], rows(np.arange(10.0, 20.0))).note is None


def test_one_equal_array_is_a_leak():
    rng = np.random.default_rng(0)
    train, audit = rng.random((50, 4, 4)), rng.random((50, 4, 4))
    assert check_overlap([rows(train)], rows(audit)).shared == 0
    audit[7] = train[3]
    with pytest.raises(DataError, match="1 of 50 audit rows are byte for byte"):
        check_overlap([rows(train)], rows(audit))


def test_declared_ids_decide_whatever_the_content():
    same = np.ones(4)
    assert check_overlap([rows(same, ids=["a", "b", "c", "d"])], rows(same, ids=["e", "f", "g", "h"])).note is None
    with pytest.raises(DataError, match="1 row ids are in the training and the audit split, for example 'd'"):
        check_overlap([rows(same, ids=["a", "b", "c", "d"])], rows(same * 2, ids=["e", "f", "g", "d"]))
