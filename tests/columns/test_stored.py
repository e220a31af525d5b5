"""A column in a file is the column in memory, and leaves nothing behind."""

import errno
import gc
import os
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefair.columns import stored
from edgefair.columns.stored import SLICE, Growing, let_go, slices, taken
from edgefair.errors import UsageError

KINDS = [np.int32, np.int64, np.float32, np.uint64]


@pytest.fixture
def nothing_held(monkeypatch):
    monkeypatch.setattr(stored, "HELD_BYTES", 0)
    monkeypatch.setattr(stored, "SMALL_BYTES", 0)


@given(st.lists(st.lists(st.integers(0, 99), max_size=9), max_size=9), st.sampled_from(KINDS), st.booleans())
def test_a_column_is_its_parts_wherever_it_lies(parts, kind, held):
    arrays = [np.array(part, dtype=kind) for part in parts]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stored, "SMALL_BYTES", stored.SMALL_BYTES if held else -1)
        patched.setattr(stored, "HELD_BYTES", stored.HELD_BYTES if held else -1)
        found = stored.stored(kind, sum(map(len, parts)) + 3, arrays)
    let_go(found)
    assert found.dtype == kind
    assert found.tolist() == [item for part in parts for item in part]


def test_rows_are_taken_in_whatever_order_from_a_column_that_was_let_go(nothing_held):
    rng = np.random.default_rng(0)
    values = rng.normal(size=5 * SLICE + 17)
    column = stored.stored(np.float64, len(values), (values[part] for part in slices(len(values))))
    for positions in (rng.integers(0, len(values), 3 * SLICE), np.arange(len(values)), np.array([0, len(values) - 1])):
        let_go(column)
        np.testing.assert_array_equal(taken(column, positions), values[positions])


def test_what_is_changed_in_a_column_stays_when_it_leaves_the_memory(nothing_held):
    column = stored.stored(np.int64, 4, [np.arange(4)])
    column[2] = 9
    let_go(column)
    assert column.tolist() == [0, 1, 9, 3]


def test_columns_that_ended_make_room_for_others(monkeypatch):
    monkeypatch.setattr(stored, "HELD_BYTES", stored._held.bytes + (3 << 20))
    rows = (2 << 20) // 8
    first = Growing(np.int64, rows).column
    assert stored._memory(first) is None
    assert stored._memory(Growing(np.int64, rows).column) is not None
    del first
    gc.collect()
    assert stored._memory(Growing(np.int64, rows).column) is None


@pytest.mark.parametrize("held", [True, False])
def test_more_rows_than_were_said_do_not_run_into_the_next_column(monkeypatch, held):
    monkeypatch.setattr(stored, "HELD_BYTES", stored.HELD_BYTES if held else 0)
    monkeypatch.setattr(stored, "SMALL_BYTES", stored.SMALL_BYTES if held else 0)
    growing = Growing(np.int64, 3)
    growing.append(np.arange(2))
    with pytest.raises(ValueError, match="4 rows of 3"):
        growing.append(np.arange(2))


def test_a_file_has_no_name_while_columns_lie_in_it(nothing_held, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(stored, "_files", stored._Files())
    column = stored.stored(np.int64, 3, [np.arange(3)])
    assert not list(tmp_path.iterdir())
    assert column.tolist() == [0, 1, 2]


def test_a_disk_that_is_full_is_an_error_that_says_where_it_is(nothing_held, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    growing = Growing(np.int64, 3)
    monkeypatch.setattr(stored._File, "write", full)
    with pytest.raises(UsageError, match="No space left on device") as caught:
        growing.append(np.arange(3))
    assert "TMPDIR" in str(caught.value)
    assert tempfile.gettempdir() in str(caught.value)


LIMITED = """
import resource, sys
from edgefair.cli import main
from edgefair.columns import stored

stored.HELD_BYTES = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_command_whose_columns_find_no_room_ends_with_2_and_leaves_nothing_behind(tmp_path):
    rows, folder = 300_000, tmp_path / "temporary"
    folder.mkdir()
    columns = {"x": np.arange(rows) / 7, "y": np.arange(rows) % 2, "g": np.arange(rows) // 2 % 2}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "rows.parquet")
    command = [sys.executable, "-c", LIMITED, "init", "--data", "rows.parquet", "--label", "y", "--sensitive", "g"]
    ended = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert f"cannot be kept in '{folder}': File too large" in ended.stderr
    assert not list(folder.iterdir())
