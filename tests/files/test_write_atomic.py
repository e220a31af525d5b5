"""One file, whole or not at all: its permissions, its name, and what killed writers leave."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edgefair.files import shown, write_atomic


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """Sets the umask for one test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "private", "expected"), [
    (0o022, False, 0o644), (0o077, False, 0o600), (0o002, False, 0o664), (0o022, True, 0o600), (0o277, True, 0o400),
])  # fmt: skip
def test_a_new_file_has_what_the_umask_leaves_and_a_private_one_is_its_owners(tmp_path, umask, mask, private, expected):
    umask(mask)
    write_atomic(tmp_path / "file", b"x", private=private)
    assert mode(tmp_path / "file") == expected


@pytest.mark.parametrize("private", [False, True])
def test_a_file_that_exists_keeps_its_permissions(tmp_path, private):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomic(path, b"new", private=private)
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o640


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    path = tmp_path / "file"
    path.symlink_to("precious")
    write_atomic(path, b"new")
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_and_stays(tmp_path, make):
    make(tmp_path / "it")
    with pytest.raises(OSError, match="not a file"):
        write_atomic(tmp_path / "it", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["it"]
    assert not (tmp_path / "it").is_file()


KILLED = """
import os, signal, sys
from pathlib import Path
import edgefair.files as files
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
files.write_atomic(Path(sys.argv[1]), b"new")
"""


def test_a_killed_writer_leaves_the_old_content_and_what_it_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    (mine := tmp_path / ".file.original").write_text("mine")
    write_atomic(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert {item.name for item in tmp_path.iterdir()} == {"file", mine.name}


WRITER = """
import sys
from pathlib import Path
from edgefair.files import write_atomic
for _ in range(200):
    write_atomic(Path(sys.argv[1]), sys.argv[2].encode() * 1000)
"""


def test_writers_side_by_side_do_not_take_each_other_for_dead(tmp_path):
    path = tmp_path / "file"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter]) for letter in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert path.read_bytes() in {b"a" * 1000, b"b" * 1000}
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_no_absolute_path_is_shown():
    base = Path("/home/ada/project")
    assert shown(base / "dist/people", base) == "dist/people"
    assert shown("/mnt/secret/model.onnx", base) == "model.onnx"
    assert shown("../model.onnx", base) == "../model.onnx"
