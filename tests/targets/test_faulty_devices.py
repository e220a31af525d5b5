"""Devices that lie, crash, hang or vanish: a measurement error with the reason, never a verdict and never a hang."""

import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import batches, classifier, save, value

import edgefair
from edgefair.errors import MeasurementError
from edgefair.files import sha256_file
from edgefair.targets import Probe, load_profile
from edgefair.targets.local import LocalTransport

ROOT = str(Path(edgefair.__file__).parent.parent)
PROFILE = load_profile("local")


class Watched(LocalTransport):
    """The local transport, with its process in reach of the test."""

    def __init__(self):
        super().__init__(PROFILE)

    def start(self):
        self.process = super().start()
        return self.process


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
from edgefair.targets.local import LocalTransport
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


class Scripted(LocalTransport):
    """The local transport with another program in the place of the probe."""

    def __init__(self, script):
        super().__init__(PROFILE)
        self.script = script

    def start(self):
        code = "import sys; sys.path.insert(0, sys.argv[1]); exec(sys.argv[2])"
        return subprocess.Popen(
            [sys.executable, "-c", code, ROOT, self.script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def scripted(script, *, timeout_s=60):
    return Probe(PROFILE, Scripted(script), timeout_s=timeout_s)


# A probe that answers as `LIES` (header key or array name -> Python expression, by request) says.
LYING = """
import numpy as np
from edgefair.probe.wire import digest_arrays, encode_frame, read_frame, write_frame
def signature(name, kind):
    return {"name": name, "type": kind, "shape": [None]}
truth = {
    "hello": ({"protocol": 3, "device": {"onnxruntime": "1"}}, {}),
    "load": ({"sha256": DIGEST, "bytes": SIZE, "inputs": [],
              "outputs": [signature("decision", "tensor(int64)"), signature("p", "tensor(float)")],
              "metadata": {}, "providers": ["CPUExecutionProvider"]}, {}),
    "run": ({}, {"decision": np.zeros(10, dtype=np.int64), "p": np.zeros(10, dtype=np.float32)}),
    "latency": ({}, {"m": np.ones(100, dtype=np.int64)}),
}
while (frame := read_frame(sys.stdin.buffer)) is not None:
    do = frame[0]["do"]
    header, arrays = truth[do]
    header = {"ok": True, "id": frame[0]["id"], "inputs": digest_arrays(frame[1]), **header}
    for lied, key, lie in LIES:
        if lied == do:
            (arrays if key in arrays else header)[key] = lie
    write_frame(sys.stdout.buffer, encode_frame(header, arrays))
"""


def lying(path, lies):
    told = "[" + ", ".join(f"({do!r}, {key!r}, {lie})" for do, key, lie in lies) + "]"
    script = LYING.replace("DIGEST", repr(sha256_file(path))).replace("SIZE", str(path.stat().st_size))
    return scripted(script.replace("LIES", told))


def measure(path, lies=()):
    with lying(path, lies) as probe:
        loaded = probe.load(path, name="m")
        answers = list(probe.run(loaded, iter(batches(20, 10)[1]), ["decision", "p"]))
        return answers, probe.latency({"m": ["decision"]}, {"x": np.zeros((1, 2), dtype=np.float32)})


def test_the_scripted_device_is_believed_as_long_as_it_does_not_lie(tmp_path):
    answers, times = measure(classifier(tmp_path / "m.onnx"))
    assert len(answers) == 2
    assert len(times["m"]) == 100


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (("hello", "protocol", "99"), "protocol 99"),
        (("hello", "device", "None"), "protocol 3"),
        (("load", "sha256", "'0' * 64"), "loaded sha256 0000"),
        (("load", "bytes", "1"), r"\(1 bytes\)"),
        (("load", "outputs", "3"), "describes the model as nothing known"),
        (("load", "inputs", "[{}]"), "describes the model as nothing known"),
        (("load", "providers", "[]"), "expected: CPUExecutionProvider"),
        (("load", "id", "0"), "answered request 0\nexpected: the answer to request 2"),
        (("run", "id", "3"), "answered request 3\nexpected: the answer to request 4"),
        (("run", "decision", "np.zeros(5, dtype=np.int64)"), r"shape \(5,\)\nexpected: 10 rows"),
        (("run", "decision", "np.int64(3)[...]"), r"shape \(\)"),
        (("run", "decision", "np.zeros(10, dtype=np.float32)"), "'decision' is float32\nexpected: int64"),
        (("run", "p", "np.full(10, np.nan, dtype=np.float32)"), "NaN or infinite in 10 of 10 rows"),
        (("run", "p", "np.full(10, np.inf, dtype=np.float32)"), "NaN or infinite in 10 of 10 rows"),
        (("run", "ok", "False"), "answered None"),
        (("run", "inputs", "'0' * 64"), "ran other inputs than it was sent"),
        (("run", "inputs", "None"), "ran other inputs than it was sent"),
        (("latency", "m", "np.zeros(0, dtype=np.int64)"), "as many per model"),
        (("latency", "m", "np.array([3, -1])"), "impossible times"),
        (("latency", "m", "np.ones(3)"), "impossible times"),
    ],
)
def test_a_device_that_lies_is_not_believed(tmp_path, lie, message):
    with pytest.raises(MeasurementError, match=message):
        measure(classifier(tmp_path / "m.onnx"), [lie])


def test_an_output_that_is_missing_is_not_made_up(tmp_path):
    path = classifier(tmp_path / "m.onnx")
    probe = lying(path, [])
    probe._transport.script = probe._transport.script.replace('"p": np.zeros', '"q": np.zeros')
    with probe, pytest.raises(MeasurementError, match="returned no output 'p'"):
        list(probe.run(probe.load(path, name="m"), iter(batches(10, 10)[1]), ["decision", "p"]))


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


def test_a_device_that_hangs_while_it_is_written_to_is_given_up_after_the_timeout():
    """The request is larger than the pipe, so the host cannot even finish asking."""
    rules = PROFILE.latency.model_copy(update={"max_seconds": 0.1})
    transport = Watched()
    probe = Probe(PROFILE.model_copy(update={"latency": rules}), transport, timeout_s=60)
    with probe:
        probe._connection.timeout_s = 0.2
        os.kill(transport.process.pid, signal.SIGSTOP)
        with pytest.raises(MeasurementError, match=r"no answer within 0\.3 s"):
            probe.latency({"m": ["decision"]}, {"x": np.zeros((1_000_000, 2), dtype=np.float32)})
