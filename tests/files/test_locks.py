"""Locks tell who is at work, with real processes."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from edgefair.locks import abandoned, held_folder, hold, remove_abandoned

HOLDER = """
import os, sys
from pathlib import Path
from edgefair.locks import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
    print("done", flush=True)
"""


def holder(path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_is_refused_while_another_process_has_it_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / ".run.lock"
    with holder(path) as other:
        with pytest.raises(BlockingIOError), hold(path):
            pass
        other.communicate()
    with hold(path) as held:
        assert held
        assert path.exists()
    assert not path.exists()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / ".run.lock"
    with holder(path) as other:
        other.send_signal(signal.SIGKILL)
    assert path.exists()
    with hold(path) as held:
        assert held
    assert not path.exists()


def test_who_waits_gets_it_when_the_other_is_done_though_the_file_was_removed(tmp_path):
    path = tmp_path / ".run.lock"
    with holder(path) as other, hold(path, waiting=other.stdin.close) as held:
        assert held
        assert other.stdout.readline() == "done\n"
        # What is held is the file that has the name now.
        with pytest.raises(BlockingIOError), hold(path):
            pass


def test_a_held_folder_is_no_ones_leftover_and_an_abandoned_file_or_folder_is(tmp_path):
    (tmp_path / ".x.file").write_text("half")
    (tmp_path / ".x.folder" / "deep").mkdir(parents=True)
    (tmp_path / "mine").write_text("")
    with held_folder(tmp_path, ".x.") as folder:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([folder.name, "mine"])
        assert list(abandoned(tmp_path, ".x.")) == []
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_link_among_the_leftovers_is_not_followed(tmp_path):
    (outside := tmp_path / "outside").mkdir()
    (outside / "precious").write_text("")
    (folder := tmp_path / "folder").mkdir()
    (folder / ".x.link").symlink_to(outside)
    (folder / ".x.file").symlink_to(outside / "precious")
    remove_abandoned(folder, ".x.")
    assert [path.name for path in outside.iterdir()] == ["precious"]


def test_without_locks_nothing_is_taken_for_abandoned_and_nobody_is_kept_out(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    (tmp_path / ".x.old").mkdir()
    monkeypatch.setattr(fcntl, "flock", none)
    with hold(tmp_path / "lock") as held:
        assert not held
    with held_folder(tmp_path, ".x.") as folder:
        assert folder.is_dir()
        assert (tmp_path / ".x.old").is_dir()
