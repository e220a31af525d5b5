"""The ledger counts what was judged, whatever has happened to its file, and never stands in a verdict's way."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefair.measure.sketch import sketch_of
from edgefair.report.results.verification import LedgerCount
from edgefair.workflow.measurement.ledger import LEDGER, MOST_BYTES, spend

ROWS = np.random.default_rng(3).integers(0, 2**64, 20_000, dtype=np.uint64)


def judge(folder, rows=ROWS[:1000], model="m"):
    audit = str(hash(rows.tobytes()))
    said = {"outcome": "PASS", "created": "2026-01-01", "command": "verify"}
    found = spend(folder, audit=audit, sketch=sketch_of(rows), model=model, **said)
    return None if found is None else replace(found, tries=None)


def test_verdicts_on_the_same_rows_are_counted_and_models_once(tmp_path):
    assert judge(tmp_path) == LedgerCount(1, 1)
    assert judge(tmp_path) == LedgerCount(2, 1)
    assert judge(tmp_path, model="n") == LedgerCount(3, 2)


def test_sets_that_share_rows_are_one_and_others_are_not(tmp_path):
    drawn = np.random.default_rng(0)
    for tries in range(1, 8):
        assert judge(tmp_path, drawn.permutation(ROWS[:10_000])[:2000], "m") == LedgerCount(tries, 1)
    assert judge(tmp_path, ROWS[10_000:], "m") == LedgerCount(1, 1)
    assert judge(tmp_path, ROWS[9900:12_000], "m").verdicts > 1, "rows of both"


def test_a_line_without_a_sketch_counts_where_the_set_is_the_same(tmp_path):
    judge(tmp_path)
    path = tmp_path / LEDGER
    entry = json.loads(path.read_text())
    del entry["rows"]
    path.write_text(json.dumps(entry) + "\n")
    assert judge(tmp_path, ROWS[:999]) == LedgerCount(1, 1)
    assert judge(tmp_path) == LedgerCount(3, 1), "its rows are known by now"


@pytest.mark.parametrize("damage", [
    b"\xff\xfe", b'{"audit": "unfini', b"[" * 100_000 + b"\n", b'{"audit": [1], "model": {}}\n', b"5\n", b"\x00" * 4096,
    b'{"audit": "a", "model": "b", "rows": "zz"}\n', b'{"audit": "a", "model": "b", "rows": "zzzzzzzzzzzzzzzz"}\n',
])  # fmt: skip
def test_damage_costs_no_other_verdict(tmp_path, damage):
    judge(tmp_path)
    with (tmp_path / LEDGER).open("ab") as stream:
        stream.write(damage)
    assert judge(tmp_path) == LedgerCount(2, 1)
    assert judge(tmp_path) == LedgerCount(3, 1)


def _folder(path):
    path.mkdir()


def _loop(path):
    path.symlink_to(path)


def _elsewhere(path):
    (path.parent / "precious").write_text("precious")
    path.symlink_to("precious")


def _huge(path):
    with path.open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)


@pytest.mark.parametrize("make", [_folder, os.mkfifo, _loop, _elsewhere, _huge])
def test_what_is_no_ledger_is_left_alone(tmp_path, make):
    make(tmp_path / LEDGER)
    assert judge(tmp_path) is None
    if make is _elsewhere:
        assert (tmp_path / "precious").read_text() == "precious"


def test_a_folder_that_takes_no_file_has_no_ledger():
    assert judge(Path("/proc")) is None


HOLDER = """
import fcntl, sys
with open(sys.argv[1], "a") as stream:
    fcntl.flock(stream, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_ledger_that_is_held_for_ever_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("edgefair.workflow.measurement.ledger.LOCK_WAIT_S", 0.01)
    judge(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / LEDGER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert judge(tmp_path) is None
        holder.communicate()
    assert judge(tmp_path) == LedgerCount(2, 1)


SPENDER = """
import sys
from pathlib import Path
from edgefair.workflow.measurement.ledger import spend
for _ in range(50):
    said = {"outcome": "PASS", "created": "2026-01-01", "command": "verify"}
    assert spend(Path(sys.argv[1]), audit=sys.argv[2], sketch=range(256), model=sys.argv[2], **said)
"""


def test_verdicts_side_by_side_are_all_counted(tmp_path):
    spenders = [subprocess.Popen([sys.executable, "-c", SPENDER, str(tmp_path), audit]) for audit in "abc"]
    assert [spender.wait() for spender in spenders] == [0, 0, 0]
    lines = (tmp_path / LEDGER).read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 150
