"""The account counts what was asked of rows, however they are drawn, cut, pieced together or named."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from edgefair.errors import UsageError
from edgefair.measure.sketch import sketch_of
from edgefair.workflow.sealing.account import ASKED, OPENED, PASSED, Account, check_heads, locked_account
from edgefair.workflow.sealing.rows import CONTENT, IDS, RowSet

HASHES = np.random.default_rng(3).integers(0, 2**64, 60_000, dtype=np.uint64)
NAMES = np.random.default_rng(4).integers(0, 2**64, 60_000, dtype=np.uint64)

FACTS = {"created": "2026-01-01", "model": "m", "question": "q", "number": 1, "reason": ""}


def rows(hashes, ids=None):
    sketches = {CONTENT: sketch_of(hashes), **({} if ids is None else {IDS: sketch_of(ids)})}
    return RowSet(str(hash(hashes.tobytes())), sketches)


def ask(folder, found, event=ASKED):
    """Enter a verdict on rows; how many were asked of them before."""
    with locked_account(folder / "account", "account") as account:
        before = account.asked(found)
        account.add(event, found, **FACTS)
    return before


def test_verdicts_on_sets_that_share_rows_are_one_account_and_others_are_not(tmp_path):
    drawn = np.random.default_rng(0)
    for before in range(6):
        assert ask(tmp_path, rows(drawn.permutation(HASHES[:10_000])[:3000])) == before, "drawn again"
    assert ask(tmp_path, rows(HASHES[2:10_000])) == 6, "cut"
    assert ask(tmp_path, rows(HASHES[20_000:])) == 0, "other people"


def test_a_set_that_is_pieced_together_of_small_parts_of_others_is_no_fresh_one(tmp_path):
    """Each of sixty sets gives 15 of 900 rows, which is less than two in a hundred."""
    parts = [HASHES[start : start + 1000] for start in range(0, 60_000, 1000)]
    for part in parts:
        assert ask(tmp_path, rows(part)) == 0
    pieced = np.concatenate([part[:15] for part in parts])
    assert ask(tmp_path, rows(pieced)) > 50


def test_new_ids_make_no_new_people_and_new_columns_neither(tmp_path):
    one = rows(HASHES[:3000], NAMES[:3000])
    assert ask(tmp_path, one) == 0
    assert ask(tmp_path, rows(HASHES[:3000], NAMES[3000:6000])) == 1, "the content is the same"
    assert ask(tmp_path, rows(HASHES[6000:9000], NAMES[:3000])) == 2, "a feature was left out, the ids are the same"


@pytest.mark.parametrize("event", [PASSED, OPENED])
def test_a_seal_that_was_opened_is_open_for_all_sets_that_hold_some_of_the_rows(tmp_path, event):
    ask(tmp_path, rows(HASHES[:3000]))
    ask(tmp_path, rows(HASHES[:3000]), event)
    account = Account(tmp_path / "account", "account")
    assert account.opened(rows(HASHES[:2500]))["event"] == event
    assert account.opened(rows(HASHES[3000:6000])) is None


def test_an_account_that_was_edited_or_lost_what_others_remember_is_refused(tmp_path):
    path = tmp_path / "account"
    for _ in range(3):
        ask(tmp_path, rows(HASHES[:100]))
    whole = path.read_bytes()
    head = Account(path, "account").head
    lines = whole.splitlines(keepends=True)
    for damaged in (b"".join(lines[1:]), lines[0] + lines[2], whole.replace(b"asked", b"Asked"), whole[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="was edited or cut"):
            Account(path, "account")
    path.write_bytes(b"".join(lines[:2]))
    check_heads(Account(path, "account"), [json.loads(lines[1])["digest"]], by="a report")
    with pytest.raises(UsageError, match=f"lacks the line {head[:16]}, which a report knows of"):
        check_heads(Account(path, "account"), [head], by="a report")


def test_what_cannot_be_an_account_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(UsageError, match="cannot be read"):
            Account(tmp_path / name, name)
    with pytest.raises(UsageError, match="cannot be written"), locked_account(tmp_path / "absent/account", "account"):
        pass


def test_a_link_to_a_shared_account_stays_a_link(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "account").symlink_to("shared/account")
    ask(tmp_path, rows(HASHES[:100]))
    assert (tmp_path / "account").is_symlink()
    assert ask(tmp_path / "shared", rows(HASHES[:100])) == 1


ASKER = """
import sys
from pathlib import Path
from edgefair.workflow.sealing.account import ASKED, locked_account
from edgefair.workflow.sealing.rows import CONTENT, RowSet
rows = RowSet("a", {CONTENT: tuple(range(256))})
for _ in range(25):
    with locked_account(Path(sys.argv[1]), "account") as account:
        account.add(ASKED, rows, number=account.asked(rows) + 1)
"""


def test_processes_that_ask_at_once_get_a_number_each(tmp_path):
    command = [sys.executable, "-c", ASKER, str(tmp_path / "account")]
    for process in [subprocess.Popen(command) for _ in range(4)]:
        assert process.wait() == 0
    numbers = [json.loads(line)["number"] for line in (tmp_path / "account").read_bytes().splitlines()]
    assert numbers == list(range(1, 101))
    assert Account(tmp_path / "account", "account").asked(RowSet("a", {})) == 100
