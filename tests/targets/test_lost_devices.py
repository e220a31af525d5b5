"""Devices that crash, hang or vanish: a measurement error with the reason, never a verdict and never a hang."""

import os
import select
import signal
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.errors import MeasurementError
from edgefair.targets import Probe, load_profile
from edgefair.targets.transports.local import LocalTransport
from tests.targets.onnx_models import batches, classifier, save, value
from tests.targets.scripted import PROFILE, ROOT, Watched, lying, scripted


def test_a_probe_that_is_killed_in_the_middle_is_a_lost_measurement(tmp_path):
    transport = Watched()

    def killing():
        for index, part in enumerate(batches(100, 10)[1]):
            if index == 4:
                os.kill(transport.process.pid, signal.SIGKILL)
            yield part

    with Probe(PROFILE, transport, timeout_s=60) as probe:
        loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
        with pytest.raises(MeasurementError, match=r"the probe was lost \(killed by SIGKILL\)"):
            list(probe.run(loaded, killing(), ["decision"]))


def test_a_device_that_stops_in_the_middle_is_given_up_after_the_timeout(tmp_path):
    """Stopped while its pipes are full: the host waits for it in two threads, and both must come back."""
    transport = Watched()

    def stopping():
        for index, part in enumerate(batches(2_000_000, 200_000)[1]):
            if index == 2:
                os.kill(transport.process.pid, signal.SIGSTOP)
            yield part

    probe = Probe(PROFILE, transport, timeout_s=60)
    with probe:
        loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
        probe._connection.timeout_s = 0.3
        with pytest.raises(MeasurementError, match=r"no answer within 0\.3 s"):
            list(probe.run(loaded, stopping(), ["decision"]))


def test_a_host_that_is_killed_leaves_no_busy_probe_behind(tmp_path):
    """Its latency phase would go on for a minute; it ends when its requests end."""
    profile = tmp_path / "slow.yaml"
    profile.write_text("name: slow\ntransport: local\nlatency: {min_seconds: 600, max_seconds: 600}\n")
    model = classifier(tmp_path / "m.onnx")
    script = f"""
import sys, threading
from pathlib import Path
import numpy as np
from edgefair.targets import *
from edgefair.targets.transports.local import LocalTransport
start = LocalTransport.start
def watched(self):
    process = start(self)
    print(process.pid, flush=True)
    return process
LocalTransport.start = watched
with open_target(load_profile({str(profile)!r})) as probe:
    probe.load(Path({str(model)!r}), name="m")
    print("loaded", flush=True)
    probe.latency({{"m": ["decision"]}}, {{"x": np.zeros((4, 2), dtype=np.float32)}})
"""
    environment = {**os.environ, "PYTHONPATH": ROOT}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as host:
        child = os.pidfd_open(int(host.stdout.readline()))
        assert host.stdout.readline() == "loaded\n"
        host.kill()
    assert select.select([child], [], [], 30)[0], "the probe is still alive"


def test_nothing_is_written_on_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Probe(PROFILE, LocalTransport(PROFILE), timeout_s=60):
        assert list(tmp_path.iterdir()) == []


def test_a_probe_that_cannot_be_started_is_a_measurement_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(MeasurementError, match="cannot be started"):
        Probe(PROFILE, LocalTransport(PROFILE), timeout_s=60).__enter__()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("print('Welcome to my board!', flush=True); sys.stdin.read()", "damaged: not a frame: b'Welcome"),
        ("sys.stdout.buffer.write(b'EFP1'); sys.stdout.flush()", r"the probe was lost \(exit code 0\)"),
        ("sys.stderr.write('no module named onnxruntime'); sys.exit(3)", r"exit code 3.*no module named onnxruntime"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
    ],
)
def test_garbage_truncation_and_crashes_are_lost_measurements(script, message):
    with pytest.raises(MeasurementError, match=message), scripted(script):
        pass


def test_what_a_library_prints_does_not_damage_the_frames():
    noise = "print('noise', flush=True); os.system('echo noise')"
    with scripted(f"import os, edgefair.probe.__main__ as probe; {noise}; probe.main()") as probe:
        assert probe.device["onnxruntime"]


def test_a_model_that_the_devices_memory_cannot_hold_is_a_failed_measurement(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("Expand", ["x", "size"], ["y"])],
        [value("x", TensorProto.FLOAT, ["n", 1])],
        [value("y", TensorProto.FLOAT, ["n", None])],
        [numpy_helper.from_array(np.array([1, 1 << 44]), "size")],
    )
    with Probe(PROFILE, LocalTransport(PROFILE), timeout_s=60) as probe:
        loaded = probe.load(path, name="m")
        with pytest.raises(MeasurementError, match="answered out_of_memory"):
            list(probe.run(loaded, iter([{"x": np.ones((1, 1), dtype=np.float32)}]), ["y"]))


def test_a_device_that_hangs_is_given_up_after_the_timeout():
    with pytest.raises(MeasurementError, match=r"no answer within 0\.2 s"):
        scripted("import signal; signal.pause()", timeout_s=0.2).__enter__()


def test_a_device_that_builds_an_engine_may_be_silent_for_longer(tmp_path):
    path = classifier(tmp_path / "m.onnx")
    facts = dict.fromkeys(("tensorrt", "device", "compute_capability", "cuda_driver"), "1")
    built = {"sha256": "0" * 64, "bytes": 1, "max_rows": 64, **facts}
    probe = lying(path, [("load", "providers", "['TensorRT 10']"), ("load", "engine", repr(built))])
    probe.profile = load_profile("tensorrt")
    with probe:
        probe._connection.timeout_s = 0.0
        loaded = probe.load(path, name="m")
        assert len(list(probe.run(loaded, iter(batches(10, 10)[1]), ["decision"]))) == 1
        probe._connection.timeout_s = 60.0


def test_a_device_that_hangs_while_it_is_written_to_is_given_up_after_the_timeout():
    """The request is larger than the pipe, so the host cannot even finish asking."""
    rules = PROFILE.latency.model_copy(update={"max_seconds": 0.1})
    transport = Watched()
    probe = Probe(PROFILE.model_copy(update={"latency": rules}), transport, timeout_s=60)
    with probe:
        probe._connection.timeout_s = 0.2
        os.kill(transport.process.pid, signal.SIGSTOP)
        with pytest.raises(MeasurementError, match=r"no answer within 0\.4 s"):
            probe.latency({"m": ["decision"]}, {"x": np.zeros((1_000_000, 2), dtype=np.float32)})
