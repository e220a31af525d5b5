import json
from dataclasses import replace

import numpy as np
import pytest

from edgefair.errors import DataError
from edgefair.measure.counts import GroupCounts
from edgefair.study.table import Row, from_parquet, tables_of, to_parquet, values_of

FIRST = Row(study="s", plan="d", cell="a; seed 0", condition="a", seed=0, status="done", gap=0.1, collapsed=False,
            bytes=10, seconds=1.5)  # fmt: skip
SECOND = replace(FIRST, cell="a; seed 1", seed=1, gap=0.02, collapsed=True)
FAILED = replace(FIRST, cell="b; seed 0", condition="b", status="failed", error="full disk", gap=None, collapsed=None)
ROWS = (FIRST, SECOND, FAILED)


def test_a_table_comes_back_as_it_was_written_and_equal_rows_are_equal_bytes():
    content = to_parquet(ROWS)
    assert set(from_parquet(content)) == set(ROWS)
    assert to_parquet(reversed(ROWS)) == content
    assert from_parquet(to_parquet([])) == ()


def test_a_response_is_of_done_cells_and_only_a_gap_knows_of_collapse():
    assert values_of(ROWS, "gap").cells == {("a", 0): 0.1, ("a", 1): 0.02}
    assert values_of(ROWS, "gap").collapsed == {("a", 1)}
    assert values_of(ROWS, "bytes").collapsed == frozenset()


def test_what_cannot_be_a_row_or_table_is_refused():
    for wrong in ({"gap": float("nan")}, {"gap": "0.1"}, {"seed": True}, {"status": "maybe"}, {"status": "failed"},
                  {"collapsed": 1}, {"rows": 1.5}):  # fmt: skip
        with pytest.raises(DataError, match="cell 'a; seed 0'"):
            replace(FIRST, **wrong)
    with pytest.raises(DataError, match="two rows"):
        to_parquet([FIRST, FIRST])
    with pytest.raises(DataError, match="no table"):
        from_parquet(b"PAR1 but not really")
    with pytest.raises(DataError, match="2 plans"):
        values_of([FIRST, replace(SECOND, plan="e")], "gap")
    with pytest.raises(DataError, match="did you mean 'gap'"):
        values_of(ROWS, "gaps")
    with pytest.raises(DataError, match="no counts"):
        tables_of(ROWS, "a")


def test_the_counts_of_all_seeds_come_out_of_the_table():
    table = np.arange(8).reshape(2, 2, 2)
    text = json.dumps(GroupCounts(("g",), (("a",), ("b",)), ("no", "yes"), table).to_json())
    rows = [replace(SECOND, counts=text), replace(FIRST, counts=text)]
    assert np.array_equal(tables_of(from_parquet(to_parquet(rows)), "a"), [table, table])
    with pytest.raises(DataError, match="other groups"):
        tables_of([rows[0], replace(FIRST, counts=text.replace('"b"', '"c"'))], "a")
    with pytest.raises(DataError, match="no JSON"):
        tables_of([replace(FIRST, counts="{")], "a")
    with pytest.raises(DataError, match="no cell 'c'"):
        tables_of(rows, "c")


def test_a_table_of_another_version_is_not_mixed(monkeypatch):
    content = to_parquet(ROWS)
    monkeypatch.setattr("edgefair.study.table.TABLE_SCHEMA", "edgefair.study/2")
    with pytest.raises(DataError, match=r"of schema 'edgefair\.study/1'"):
        from_parquet(content)
