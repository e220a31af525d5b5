"""No connection to another machine is even tried: by the command, its probe, onnxruntime, or any library of theirs."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.targets.people import write_project

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
# Datagrams need no connect.
CALLS = "connect,sendto,sendmsg,sendmmsg"
OUTWARD = re.compile(r"sa_family=AF_INET6?")
QUICK = "name: quick\ntransport: local\nlatency: {warmup: 1, min_queries: 100, min_seconds: 0}\n"
TRIES = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"


def calls(folder, *command):
    """What a command and all that it starts ask the system to send to the network."""
    # onnxruntime's own telemetry must be off because edgefair switches it off, and not because these tests do.
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    traced = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={CALLS}", "-o", folder / "calls.txt"]
    done = subprocess.run(
        [*traced, sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done, [line for line in (folder / "calls.txt").read_text().splitlines() if OUTWARD.search(line)]


def test_a_connection_is_seen_where_there_is_one(tmp_path):
    done, found = calls(tmp_path, "-c", TRIES)
    if "PTRACE" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("this system does not let processes be traced")
    assert found


def test_a_verdict_with_its_timing_talks_to_nobody(tmp_path):
    write_project(tmp_path)
    (tmp_path / "quick.yaml").write_text(
        "name: quick\ntransport: local\nlatency: {warmup: 1, min_queries: 100, min_seconds: 0}\n"
    )
    done, found = calls(
        tmp_path, *("-m", "edgefair", "verify", "model.onnx", "--uncompressed", "--set", "targets=[quick.yaml]")
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("this system does not let processes be traced")
    assert done.returncode == 0, done.stdout + done.stderr
    assert found == []
