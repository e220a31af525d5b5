"""What a device keeps between two sessions, and how two sessions share a device."""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from edgefair.probe import boot
from edgefair.probe.errors import ProbeError
from edgefair.probe.storage import Storage

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def put(storage, start, end, content=CONTENT):
    return storage.store(DIGEST, len(CONTENT), start, np.frombuffer(content[start:end], dtype=np.uint8))


def test_chunks_become_a_file_that_appears_only_when_it_is_whole(tmp_path):
    storage = Storage(tmp_path / "models")
    assert put(storage, 0, 0)["have"] == 0
    assert put(storage, 0, 4000)["have"] == 4000
    assert not (tmp_path / "models" / DIGEST).exists()
    assert put(Storage(tmp_path / "models"), 0, 0)["have"] == 4000, "another session goes on where this one was"
    last = put(storage, 4000, len(CONTENT))
    assert last == {"have": len(CONTENT), "path": str(tmp_path / "models" / DIGEST)}
    assert (tmp_path / "models" / DIGEST).read_bytes() == CONTENT
    assert put(storage, 0, 0) == last


def test_a_chunk_that_is_there_already_or_leaves_a_hole_is_not_added(tmp_path):
    storage = Storage(tmp_path)
    put(storage, 0, 4000)
    assert put(storage, 0, 4000)["have"] == 4000
    assert put(storage, 5000, 6000)["have"] == 4000


def test_a_file_with_another_digest_is_refused_and_removed(tmp_path):
    storage = Storage(tmp_path)
    with pytest.raises(ProbeError, match="a digest other") as error:
        put(storage, 0, len(CONTENT), bytes(len(CONTENT)))
    assert error.value.kind == "damaged"
    assert list(tmp_path.iterdir()) == []


def test_a_kept_file_that_was_damaged_since_is_copied_again(tmp_path):
    storage = Storage(tmp_path)
    put(storage, 0, len(CONTENT))
    (tmp_path / DIGEST).write_bytes(CONTENT[:-1] + b"x")
    assert put(storage, 0, 0)["have"] == 0
    put(storage, 0, len(CONTENT))
    assert (tmp_path / DIGEST).read_bytes() == CONTENT


def test_a_name_that_is_no_digest_cannot_lead_out_of_the_folder(tmp_path):
    with pytest.raises(ProbeError, match="not a sha256"):
        Storage(tmp_path).store("../" * 20 + "root", 1, 0, np.zeros(1, dtype=np.uint8))


def test_a_session_that_brings_many_files_keeps_those_it_used_last(tmp_path):
    storage = Storage(tmp_path)
    files = [bytes([index]) * 100 for index in range(6)]

    def send(content):
        digest = hashlib.sha256(content).hexdigest()
        storage.store(digest, len(content), 0, np.frombuffer(content, dtype=np.uint8))
        return digest

    names = [send(content) for content in files[:4]]
    send(files[0])
    names += [send(content) for content in files[4:]]
    assert {path.name for path in tmp_path.iterdir()} == {names[index] for index in (0, 3, 4, 5)}


def test_tidying_removes_what_this_session_did_not_use_and_what_is_not_whole(tmp_path):
    (tmp_path / "0123").touch()
    (tmp_path / f"{DIGEST}.partial").touch()
    storage = Storage(tmp_path)
    put(storage, 0, len(CONTENT))
    storage.tidy()
    assert [path.name for path in tmp_path.iterdir()] == [DIGEST]
    Storage(tmp_path / "absent").tidy()


class StoppedError(Exception):
    pass


@pytest.fixture(autouse=True)
def stops(monkeypatch):
    def stop(code, why):
        raise StoppedError(code, why)

    monkeypatch.setattr(boot, "stop", stop)


def opened(path):
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_a_device_that_another_session_holds_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(boot, "BUSY_S", 0.0)
    boot.hold(opened(tmp_path / "lock"), "one")
    with pytest.raises(StoppedError, match="another edgefair process is measuring"):
        boot.hold(opened(tmp_path / "lock"), "two")


def test_a_session_that_comes_back_ends_what_is_left_of_itself(tmp_path):
    lock = opened(tmp_path / "lock")
    fcntl.flock(lock, fcntl.LOCK_EX)
    script = "import sys; print('ready', flush=True); sys.stdin.read()"
    left = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        pass_fds=[lock],
    )
    with left:
        assert left.stdout.readline() == b"ready\n"
        os.pwrite(lock, f"{left.pid} same".encode(), 0)
        os.close(lock)
        boot.hold(opened(tmp_path / "lock"), "same")
        assert left.wait() == -signal.SIGKILL
    assert (tmp_path / "lock").read_text() == f"{os.getpid()} same"


def test_half_an_environment_is_not_taken_for_a_ready_one_and_a_ready_one_is_not_made_again(tmp_path, monkeypatch):
    commands = []

    def run(command, fix):
        commands.append(command[1:4])
        (tmp_path / "venv").mkdir(exist_ok=True)
        if "pip" in command and broken:
            raise StoppedError(fix)

    monkeypatch.setattr(boot, "run", run)
    broken = True
    with pytest.raises(StoppedError):
        boot.environment(tmp_path, ["numpy"])
    broken = False
    python = boot.environment(tmp_path, ["numpy"])
    assert python == str(tmp_path / "venv" / "bin" / "python")
    assert len(commands) == 4, "made anew"
    boot.environment(tmp_path, ["numpy"])
    assert len(commands) == 4
    boot.environment(tmp_path, ["numpy", "onnxruntime==1.30"])
    assert len(commands) == 6, "other packages, another environment"
    assert json.loads((tmp_path / "venv" / boot.READY).read_text())[1:] == ["numpy", "onnxruntime==1.30"]


def test_a_command_that_fails_is_named_with_its_last_words():
    with pytest.raises(StoppedError, match=r"-c import sys; .* failed \(is it there\?\): no space"):
        boot.run([sys.executable, "-c", "import sys; sys.exit('no space')"], "is it there?")
