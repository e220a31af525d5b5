"""A declared id names one row, and every row has one."""

import numpy as np
import pytest

from edgefair.data.files.table import Categories
from edgefair.data.identity.ids import check_ids
from edgefair.errors import DataError


def ids(*values):
    texts = tuple(dict.fromkeys(value for value in values if value is not None))
    codes = [-1 if value is None else texts.index(value) for value in values]
    return Categories(texts, np.array(codes, dtype=np.int32))


def test_ids_of_one_row_each_are_taken():
    check_ids(ids("a", "b", "c"))


def test_rows_without_an_id_are_refused():
    with pytest.raises(DataError, match="2 rows have no id"):
        check_ids(ids("a", None, "b", None))


def test_ids_of_several_rows_are_named_with_how_many_they_have():
    with pytest.raises(DataError, match=r"2 ids of data\.id occur more than once, for example 'a' \(3 rows\), 'c' \(2"):
        check_ids(ids("a", "c", "a", "b", "c", "a"))
