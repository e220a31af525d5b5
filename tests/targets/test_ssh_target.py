"""A real OpenSSH server, real keys, a real probe: what goes wrong between two machines, and what must stay right."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.errors import MeasurementError
from edgefair.probe.boot import READY
from edgefair.targets import client, open_target
from edgefair.targets.sections import LatencyRules
from tests.targets.onnx_models import batches, classifier, save, value
from tests.targets.openssh import free_port, running, serving

pytestmark = pytest.mark.target
WEIGHTS = np.array([[1, -1], [0.5, -0.5]], dtype=np.float32)


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving(tmp_path, monkeypatch) as made:
        yield made


class Cutting:
    """A way to the server that breaks once so many bytes have gone there, for each connection in turn; then holds.

    Attributes:
        sent: bytes that each connection carried to the server.
    """

    def __init__(self, server, limits):
        self.limits = iter(limits)
        self.sent = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.to = server.port
        known = server.folder / "known_hosts"
        known.write_text(known.read_text().replace(f":{server.port} ", f":{self.port} "))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
                self.sent.append(0)
                limit = next(self.limits, None)
                threading.Thread(target=self.carry, args=(near, far, len(self.sent) - 1, limit), daemon=True).start()
                threading.Thread(target=self.carry, args=(far, near, None, None), daemon=True).start()

    def carry(self, source, to, number, limit):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if number is not None:
                    self.sent[number] += len(data)
                    if limit is not None and self.sent[number] > limit:
                        break
                to.sendall(data)
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def decisions(probe, path, parts, name="m"):
    loaded = probe.load(path, name=name)
    return np.concatenate([item["decision"] for item in probe.run(loaded, iter(parts), ["decision"])])


def expected(x):
    return (x @ WEIGHTS).argmax(1)


def heavy(path, megabytes):
    """The classifier with ballast that no kernel needs."""
    size = megabytes << 18
    ballast = np.random.default_rng(0).normal(size=size).astype(np.float32)
    return save(
        path,
        [
            helper.make_node("MatMul", ["x", "w"], ["p"]),
            helper.make_node("Gather", ["ballast", "zero"], ["b"]),
            helper.make_node("Mul", ["b", "nothing"], ["n"]),
            helper.make_node("Add", ["p", "n"], ["q"]),
            helper.make_node("ArgMax", ["q"], ["decision"], axis=1, keepdims=0),
        ],
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("decision", TensorProto.INT64, ["n"])],
        [
            numpy_helper.from_array(array, name)
            for name, array in {
                "w": WEIGHTS,
                "ballast": ballast,
                "zero": np.array(0),
                "nothing": np.float32([0]),
            }.items()
        ],
    )


def when_made(path):
    state = path.stat()
    return state.st_ino, state.st_mtime_ns


def test_a_model_is_measured_there_copied_once_and_nothing_else_stays(server, tmp_path):
    x, parts = batches(1000, 64)
    model, other = classifier(tmp_path / "m.onnx"), classifier(tmp_path / "o.onnx", weights=((2, -1), (1, -1)))
    short = {"latency": LatencyRules(warmup=5, min_seconds=0.0, min_effective_queries=0)}
    with open_target(server.profile().model_copy(update=short), timeout_s=60) as probe:
        assert np.array_equal(decisions(probe, model, parts), expected(x))
        probe.load(other, name="o")
        times = probe.latency({"m": ["decision"]}, {"x": x[:4]})
        assert len(times["m"]) == 1024
    kept = server.files()
    assert len(kept) == 3, "the lock and the two models"
    copied = when_made(server.home / "edgefair" / kept[1])
    with open_target(server.profile(), timeout_s=60) as probe:
        probe.load(model, name="m")
        probe.load(other, name="o")
    assert when_made(server.home / "edgefair" / kept[1]) == copied, "not copied again"
    with open_target(server.profile(), timeout_s=60) as probe:
        probe.load(model, name="m")
    assert len(server.files()) == 2, "what the last session did not use is gone"
    assert server.probes() == []


def test_a_connection_that_breaks_while_the_model_travels_is_resumed_where_it_broke(server, tmp_path):
    x, parts = batches(100, 10)
    model = heavy(tmp_path / "m.onnx", 24)
    way = Cutting(server, [18 << 20])
    with open_target(server.profile().model_copy(update=at(server, way)), timeout_s=60) as probe:
        assert np.array_equal(decisions(probe, model, parts), expected(x))
    assert len(way.sent) == 2
    assert way.sent[1] < 12 << 20, "only the rest travelled again"
    assert [name for name in server.files() if "partial" in name] == []
    assert server.probes() == []


def test_a_connection_that_breaks_in_the_middle_of_the_rows_loses_and_repeats_none(server, tmp_path):
    x, parts = batches(200_000, 20_000)
    way = Cutting(server, [900_000, 700_000])
    with open_target(server.profile().model_copy(update=at(server, way)), timeout_s=60) as probe:
        assert np.array_equal(decisions(probe, classifier(tmp_path / "m.onnx"), parts), expected(x))
    assert len(way.sent) == 3
    assert server.probes() == []


def test_a_connection_that_keeps_breaking_ends_the_measurement_and_leaves_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "RESTARTS", 1)
    model = heavy(tmp_path / "m.onnx", 24)
    way = Cutting(server, [5 << 20, 5 << 20])
    profile = server.profile().model_copy(update=at(server, way))
    with pytest.raises(MeasurementError, match="the connection was lost"), open_target(profile, timeout_s=60) as probe:
        probe.load(model, name="m")
    assert server.files() == ["lock"]
    assert server.probes() == []
    assert running("ssh", str(way.port)) == []


def at(server, way):
    """The change of a profile that leads over a `Cutting`."""
    return {"ssh": server.profile().ssh.model_copy(update={"port": way.port})}


def refused(server, match, **changes):
    with (
        pytest.raises(MeasurementError, match=match) as error,
        open_target(server.profile(**changes), timeout_s=60),
    ):
        pass
    assert error.value.exit_code == 4


def test_a_changed_host_key_is_refused_and_says_how_to_accept_a_new_machine(server):
    server.stop()
    server.make_key("host")
    server.start()
    refused(server, r"host key is not the one in known_hosts(.|\n)*ssh-keygen -R 127\.0\.0\.1")


def test_an_unknown_host_a_user_without_a_key_and_a_silent_port_are_each_named(server):
    (server.folder / "known_hosts").write_text("")
    refused(server, "its host key is unknown")
    server.trust()
    (server.folder / "authorized_keys").write_text("")
    refused(server, r"denies this user access(.|\n)*ssh-copy-id")
    refused(server, "it cannot be reached", port=free_port())


def test_a_full_disk_is_a_failed_measurement_and_leaves_no_part_of_the_model(server, tmp_path):
    server.before.write_text("ulimit -f 8192\n")
    model = heavy(tmp_path / "m.onnx", 12)
    with (
        open_target(server.profile(), timeout_s=60) as probe,
        pytest.raises(MeasurementError, match=r"answered no_space: .*/edgefair/models: File too large"),
    ):
        probe.load(model, name="m")
    assert server.files() == ["lock"]


def test_a_probe_that_the_kernel_kills_is_named_and_not_tried_again(server, tmp_path):
    killed = []

    def killing():
        for index, part in enumerate(batches(100, 10)[1]):
            if index == 4:
                killed.append(server.kill_probe())
            yield part

    with (
        open_target(server.profile(), timeout_s=60) as probe,
        pytest.raises(MeasurementError, match=r"killed by SIGKILL on the device(.|\n)*out of memory\?"),
    ):
        decisions(probe, classifier(tmp_path / "m.onnx"), killing())
    assert len(killed) == 1
    assert server.probes() == []


def test_a_device_that_hangs_is_given_up_and_the_stuck_probe_ended(server, tmp_path):
    with open_target(server.profile(), timeout_s=60) as probe:
        loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
        probe._connection.timeout_s = 0.3
        server.kill_probe(signal.SIGSTOP)
        with pytest.raises(MeasurementError, match=r"no answer within 0\.3 s"):
            list(probe.run(loaded, iter(batches(10, 10)[1]), ["decision"]))
    assert server.probes() == []


def wrapper(folder, *, ahead):
    """A Python of the device that finds modules in `ahead` before its own."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nshift\nPYTHONPATH={ahead} exec {sys.executable} -s "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_an_older_onnxruntime_that_cannot_load_the_model_is_a_failed_measurement(server, tmp_path):
    (tmp_path / "onnxruntime.py").write_text(
        "__version__ = '1.10.0'\n"
        "class GraphOptimizationLevel: ORT_ENABLE_ALL = 99\n"
        "class SessionOptions:\n    def add_session_config_entry(self, key, value): pass\n"
        "def get_available_providers(): return ['CPUExecutionProvider']\n"
        "def InferenceSession(*args, **options): raise RuntimeError('Unsupported model IR version: 10, max 8')\n"
    )
    python = wrapper(tmp_path, ahead=tmp_path)
    with (
        open_target(server.profile(python=python), timeout_s=60) as probe,
        pytest.raises(MeasurementError, match=rf"its onnxruntime 1\.10\.0 cannot(.|\n)*{onnxruntime.__version__}"),
    ):
        probe.load(classifier(tmp_path / "m.onnx"), name="m")


@pytest.mark.parametrize(
    ("before", "changes", "message"),
    [
        ("echo Welcome to my board!", {}, "damaged: not a frame: b'Welcome"),
        ("", {"python": "/no/such/python"}, r"exit code 127(.|\n)*install Python 3\.9"),
        ("", {"folder": "/proc/edgefair"}, r"cannot be used(.|\n)*set ssh\.folder"),
        ("", {"python": "/usr/bin/env"}, "the probe was lost"),
        ("", {"config": Path("/no/such/config")}, "ssh cannot use its configuration"),
    ],
)
def test_a_device_that_is_not_set_up_says_what_is_wrong(server, before, changes, message):
    server.before.write_text(before + "\n")
    refused(server, message, **changes)


def stub_wheel(folder, name):
    """A wheel whose only content is a way to the real packages."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    site = Path(onnxruntime.__file__).parent.parent
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.pth", f"{site}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return str(path)


@pytest.mark.long
def test_a_device_without_a_runtime_gets_a_virtual_environment_once(server, tmp_path):
    server.before.write_text(f"PATH={Path(sys.executable).resolve().parent}:$PATH\n")
    wheel = stub_wheel(tmp_path, "stub")
    profile = server.profile(python=None, packages=(wheel,))
    with open_target(profile, timeout_s=60) as probe:
        assert probe.device["onnxruntime"] == onnxruntime.__version__
    made = when_made(server.home / "edgefair" / "venv" / READY)
    with open_target(profile, timeout_s=60):
        pass
    assert when_made(server.home / "edgefair" / "venv" / READY) == made


def test_a_host_that_is_killed_leaves_no_probe_on_the_device(server, tmp_path):
    script = f"""
import sys
from edgefair.targets import *
from edgefair.targets.transports.ssh import SshSettings
profile = TargetProfile.model_validate({server.profile().model_dump(mode="json")!r})
with open_target(profile) as probe:
    print("ready", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as host:
        assert host.stdout.readline() == "ready\n"
        (running,) = server.probes()
        device = os.pidfd_open(running)
        host.kill()
    assert select.select([device], [], [], 30)[0], "the probe is still alive"
