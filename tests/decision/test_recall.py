import numpy as np
import pytest

from edgefair.decision.summary import summarize
from tests.decision.helpers_decision import counts_of, policy


def test_with_more_classes_every_group_has_its_recall_of_every_class():
    table = np.random.default_rng(0).integers(1, 50, (2, 4, 4))
    found = summarize(counts_of(table, classes=["a", "b", "c", "d"]), policy(), "sex", None)
    for group, rows in zip(found.groups, table, strict=True):
        recalls = {f"recall of {name}": rows[c, c] / rows[c].sum() for c, name in enumerate("abcd")}
        assert {item.measure: item.rate for item in group.rates} == pytest.approx(recalls)


def test_a_class_that_a_group_has_no_rows_of_has_no_recall():
    table = np.full((2, 3, 3), 5)
    table[1, 2] = 0
    (_, other) = summarize(counts_of(table), policy(), "sex", None).groups
    assert [item.rate for item in other.rates] == [pytest.approx(1 / 3), pytest.approx(1 / 3), None]
