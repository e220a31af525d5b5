"""Only files are read, and none waits for somebody."""

import os
import socket

import pytest

from edgefair.probe.regular import open_regular, read_regular


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "/dev/zero", "/dev/null", "loop", "missing", "NUL"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "NUL":
        path = f"{path}\0"
    elif kind != "missing":
        path = kind
    with pytest.raises(OSError, match=r"file|loop|symbolic|null byte") as error:
        open_regular(path)
    assert error.value.strerror


def test_a_file_behind_a_link_is_read_and_one_that_is_too_large_is_not(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link") == read_regular(tmp_path / "file", most=5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_regular(tmp_path / "file", most=4)
