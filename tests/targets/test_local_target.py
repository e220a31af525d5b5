"""The real probe in a real subprocess with real onnxruntime kernels, and what goes wrong with one."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import SPEC, batches, classifier, save, value

import edgefair
from edgefair.errors import MeasurementError, ModelError, UsageError
from edgefair.probe.spec import Column, InputSpec, ModelSpec, Reading
from edgefair.targets import Probe, load_profile, open_target
from edgefair.targets.binding import check_binding
from edgefair.targets.local import LocalTransport
from edgefair.targets.zipapp import build_zipapp

OUTPUTS = ["decision", "score"]


@pytest.fixture
def probe():
    with open_target(load_profile("local"), timeout_s=60) as running:
        yield running


def test_decisions_are_the_runtimes_own_in_order(probe, tmp_path):
    x, parts = batches(1000, 64)
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    decision = np.concatenate([item["decision"] for item in probe.run(loaded, iter(parts), OUTPUTS)])
    assert np.array_equal(decision, (x @ np.array([[1, -1], [0.5, -0.5]], dtype=np.float32)).argmax(1))


def test_the_device_says_what_it_is_and_which_bytes_it_loaded(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    assert probe.device["onnxruntime"]
    assert probe.device["cores"] >= 1
    assert loaded.bytes == (tmp_path / "m.onnx").stat().st_size
    assert ModelSpec.from_json(loaded.metadata["edgefair.spec"]) == SPEC
    assert "CPUExecutionProvider" in loaded.providers
    check_binding(loaded, SPEC)


def test_latency_is_measured_interleaved_for_as_long_as_the_rules_say(tmp_path):
    profile = load_profile("local").model_copy(
        update={"latency": load_profile("local").latency.model_copy(update={"min_queries": 200, "min_seconds": 0.0})}
    )
    with open_target(profile, timeout_s=60) as running:
        for name in ("reference", "candidate"):
            running.load(classifier(tmp_path / "m.onnx"), name=name)
        x, _ = batches(16, 16)
        times = running.latency({"reference": ["decision"], "candidate": ["decision"]}, {"x": x})
    assert {name: len(item) for name, item in times.items()} == {"reference": 200, "candidate": 200}
    assert all((item > 0).all() for item in times.values())


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_a_corrupt_empty_or_truncated_model_is_a_model_error(probe, tmp_path, content):
    path = classifier(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    with pytest.raises(ModelError, match=r"m\.onnx' cannot be loaded by onnxruntime"):
        probe.load(path, name="m")


def test_a_missing_model_is_a_model_error(probe, tmp_path):
    with pytest.raises(ModelError, match="no model file"):
        probe.load(tmp_path / "absent.onnx", name="m")


@pytest.mark.parametrize("location", ["../outside.bin", "beside.bin"])
def test_a_model_in_several_files_is_refused(probe, tmp_path, location):
    """Its digest would not cover the weights, and a path could leave the folder."""
    (tmp_path / "model").mkdir()
    weights = numpy_helper.from_array(np.ones((2, 2), dtype=np.float32), "w")
    (tmp_path / "model" / location).resolve().write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    path = save(
        tmp_path / "model" / "m.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("y", TensorProto.FLOAT, ["n", 2])],
        [weights],
    )
    with pytest.raises(ModelError, match="keeps its weights in other files"):
        probe.load(path, name="m")


def test_nan_outputs_are_no_measurement(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx", weights=((float("nan"), 0.0), (0.0, 0.0))), name="m")
    _, parts = batches(10, 10)
    with pytest.raises(MeasurementError, match="'score' is NaN or infinite in 10 of 10 rows"):
        list(probe.run(loaded, iter(parts), OUTPUTS))


def test_inputs_that_the_graph_refuses_are_an_error_and_not_a_measurement(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    with pytest.raises(UsageError, match="refuses its inputs"):
        list(probe.run(loaded, iter([{"x": np.zeros((3, 5), dtype=np.float32)}]), OUTPUTS))
    with pytest.raises(UsageError, match="refuses its inputs"):
        list(probe.run(loaded, iter([{"y": np.zeros((3, 2), dtype=np.float32)}]), OUTPUTS))


def test_an_error_while_encoding_reaches_the_caller_as_it_is(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")

    def broken():
        yield batches(10, 10)[1][0]
        raise ModelError("the encoder says no")

    with pytest.raises(ModelError, match="the encoder says no"):
        list(probe.run(loaded, broken(), OUTPUTS))


def test_a_probe_that_is_killed_in_the_middle_is_a_lost_measurement(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")

    def killing():
        _, parts = batches(100, 10)
        for index, part in enumerate(parts):
            if index == 4:
                os.kill(probe._process.pid, signal.SIGKILL)
                probe._process.wait()
            yield part

    with pytest.raises(MeasurementError, match="the probe was lost"):
        list(probe.run(loaded, killing(), OUTPUTS))


class Scripted(LocalTransport):
    """The local transport with another program in the place of the probe: for devices that lie or hang."""

    def __init__(self, script):
        super().__init__(load_profile("local"))
        self.script = script

    def start(self):
        code = "import sys; sys.path.insert(0, sys.argv[1]); exec(sys.argv[2])"
        root = str(Path(edgefair.__file__).parent.parent)
        return subprocess.Popen(
            [sys.executable, "-c", code, root, self.script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


LYING = """
import numpy as np
from edgefair.probe.wire import read_frame, write_frame
while (frame := read_frame(sys.stdin.buffer)) is not None:
    do, out = frame[0]["do"], sys.stdout.buffer
    if do == "hello":
        write_frame(out, {"ok": True, "protocol": PROTOCOL, "device": {"onnxruntime": "1"}})
    elif do == "load":
        write_frame(out, {"ok": True, "sha256": "DIGEST", "bytes": 1, "inputs": [], "outputs": [], "metadata": {},
                          "providers": []})
    elif do == "run":
        write_frame(out, {"ok": True}, {"decision": np.zeros(ROWS, dtype=np.int64)})
"""


def lying(protocol=1, digest="0" * 64, rows=5):
    script = LYING.replace("PROTOCOL", str(protocol)).replace("DIGEST", digest).replace("ROWS", str(rows))
    return Probe(load_profile("local"), Scripted(script), timeout_s=60)


def test_a_device_with_another_protocol_is_refused():
    with pytest.raises(MeasurementError, match="protocol 99"), lying(protocol=99):
        pass


def test_a_device_that_loaded_other_bytes_is_refused(tmp_path):
    with lying() as running, pytest.raises(MeasurementError, match="loaded sha256 0000"):
        running.load(classifier(tmp_path / "m.onnx"), name="m")


def test_a_device_that_returns_another_number_of_rows_is_refused(tmp_path):
    from edgefair.files import sha256_file

    path = classifier(tmp_path / "m.onnx")
    with lying(digest=sha256_file(path)) as running:
        loaded = running.load(path, name="m")
        with pytest.raises(MeasurementError, match=r"shape \(5,\)"):
            list(running.run(loaded, iter(batches(10, 10)[1]), ["decision"]))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("print('Welcome to my board!', flush=True); sys.stdin.read()", "damaged"),
        ("sys.stdout.buffer.write(b'EFP1'); sys.stdout.flush()", "lost"),
        ("sys.stderr.write('no module named onnxruntime'); sys.exit(3)", r"exit code 3.*no module named onnxruntime"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
    ],
)
def test_garbage_truncation_and_crashes_are_lost_measurements(script, message):
    with pytest.raises(MeasurementError, match=message), Probe(load_profile("local"), Scripted(script), timeout_s=60):
        pass


def test_a_device_that_hangs_is_given_up_after_the_timeout():
    script = "sys.stdin.buffer.read()"
    with pytest.raises(MeasurementError, match=r"no answer within 0\.2 s"):
        Probe(load_profile("local"), Scripted(script), timeout_s=0.2).__enter__()


def test_the_probe_ends_when_its_host_does(tmp_path):
    """A host that is killed leaves no probe behind: it sees the end of its stdin."""
    host = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from edgefair.targets import *\n"
            "with open_target(load_profile('local')) as p:\n"
            "    print(p._process.pid, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(host.stdout.readline())
    handle = os.pidfd_open(child)
    host.kill()
    host.wait()
    import select

    assert select.select([handle], [], [], 30)[0], "the probe is still alive"


def test_the_zipapp_is_one_file_of_the_probe_alone_and_always_the_same(tmp_path):
    content = build_zipapp()
    assert content == build_zipapp()
    (tmp_path / "p.pyz").write_bytes(content)
    names = zipfile.ZipFile(tmp_path / "p.pyz").namelist()
    assert all(name in {"__main__.py", "edgefair/__init__.py"} or name.startswith("edgefair/probe/") for name in names)


# Binding ------------------------------------------------------------------------------------------------------------


def spec(**changes):
    item = {"name": "x", "dtype": "float32", "columns": (Column("a"), Column("b"))} | changes
    return ModelSpec((InputSpec(**item),), Reading("decision", "label", score="score"), ("no", "yes"))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (spec(name="features"), "has no input 'features'"),
        (spec(dtype="int32"), r"is tensor\(float\)"),
        (spec(columns=(Column("a"),)), r"has shape \[\?, 2\]"),
        (ModelSpec(SPEC.inputs, Reading("label", "label"), SPEC.classes), "has no output 'label'"),
    ],
)
def test_a_graph_that_does_not_fit_the_data_is_refused(probe, tmp_path, wanted, message):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    with pytest.raises(ModelError, match=message):
        check_binding(loaded, wanted)


def test_a_graph_with_a_fixed_batch_is_refused(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx", rows=1), name="m")
    with pytest.raises(ModelError, match="exactly 1 rows at a time"):
        check_binding(loaded, SPEC)


def test_an_opset_that_the_runtime_does_not_know_is_a_model_error(probe, tmp_path):
    path = classifier(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    model.opset_import[0].version = 999
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="cannot be loaded"):
        probe.load(path, name="m")


def test_an_unknown_target_names_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'local'"):
        load_profile("locale")
    (tmp_path / "mine.yaml").write_text("name: mine\ntransport: local\nthread: 3\n")
    with pytest.raises(UsageError, match="thread"):
        load_profile(str(tmp_path / "mine.yaml"))
