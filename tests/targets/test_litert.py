"""LiteRT: .tflite files as they are, with the bare runtime's decisions, and never another runtime's."""

import re

import numpy as np
import pytest

from edgefair.errors import MeasurementError, ModelError, UsageError
from edgefair.files import sha256_file
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, Reading
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.targets import load_profile, open_target
from edgefair.targets.binding import check_binding
from edgefair.targets.profile import TargetProfile
from tests.targets.bare import litert_output
from tests.targets.onnx_models import classifier
from tests.targets.people import gate, report, run, write_project
from tests.targets.tflite_models import linear, quantized

pytestmark = pytest.mark.runtimes
SPEC = ModelSpec(
    (InputSpec("x", "float32", (Column("a"), Column("b"))),), Reading("score", "probabilities"), ("no", "yes")
)
ON_LITERT = ("--target", "litert")


@pytest.fixture(autouse=True)
def _installed():
    pytest.importorskip("ai_edge_litert")


@pytest.fixture
def x():
    return (np.random.default_rng(0).normal(size=(300, 2)) * 3).astype(np.float32)


def asked(**config):
    return load_profile("litert").model_copy(update={"config": config})


def outputs(path, x, profile=None):
    with open_target(profile or load_profile("litert"), timeout_s=60) as probe:
        model = probe.load(path, name="m")
        name = model.outputs[0]["name"]
        (found,) = probe.run(model, iter([{"x": x}]), [name])
        return found[name], model


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: linear(path), {"kernels": "XNNPACK", "quantized": ""}),
        (lambda path: linear(path, softmax=False), {"kernels": "XNNPACK", "quantized": ""}),
        (
            lambda path: quantized(path),
            {
                "kernels": "XNNPACK and LiteRT",
                "quantized": "x: int8, scale 0.0500000007, zero point 3; "
                "score: int8, scale 0.00390625, zero point -128",
            },
        ),
    ],
)
def test_outputs_are_those_of_a_bare_script(tmp_path, x, write, said):
    path = write(tmp_path / "m.tflite")
    found, model = outputs(path, x)
    assert np.array_equal(found, litert_output(path.read_bytes(), x))
    assert model.engine == said
    assert {item["type"] for item in (*model.inputs, *model.outputs)} == {"tensor(float)"}
    assert model.takes_one_row


@pytest.mark.parametrize("write", [linear, quantized])
def test_a_dynamic_batch_decides_each_row_as_a_batch_of_one_does(tmp_path, x, write):
    alone, _ = outputs(write(tmp_path / "one.tflite"), x)
    together, model = outputs(write(tmp_path / "many.tflite", rows=-1), x)
    assert not model.takes_one_row
    assert np.allclose(together, alone, atol=1e-6)
    assert np.array_equal(together.argmax(axis=1), alone.argmax(axis=1))


def test_kernels_are_those_that_the_profile_names_or_an_error(tmp_path, x):
    plain, whole = linear(tmp_path / "m.tflite"), quantized(tmp_path / "q.tflite")
    for kernels in ("builtin", "reference"):
        assert outputs(plain, x, asked(kernels=kernels))[1].engine["kernels"] == "LiteRT"
    assert outputs(plain, x, asked(kernels="xnnpack"))[1].engine["kernels"] == "XNNPACK"
    with pytest.raises(MeasurementError, match="by kernels of XNNPACK and LiteRT, and the profile says xnnpack"):
        outputs(whole, x, asked(kernels="xnnpack"))
    for config, why in (({"kernels": "gpu"}, "not auto, xnnpack"), ({"delegate": "/tmp/x.so"}, "not a LiteRT setting")):
        with pytest.raises(ValueError, match=why):
            TargetProfile(name="t", transport="local", runtime="litert", config=config)


def test_the_spec_travels_in_the_file_under_its_digest(tmp_path, x):
    bare, carrying = linear(tmp_path / "bare.tflite"), linear(tmp_path / "spec.tflite", spec=SPEC)
    found, model = outputs(carrying, x)
    assert spec_from_json(model.metadata["edgefair.spec"]) == SPEC
    check_binding(model, SPEC)
    plain, without = outputs(bare, x)
    assert np.array_equal(found, plain)
    assert without.metadata == {}
    assert without.sha256 != model.sha256


def test_quantized_probabilities_are_read_though_they_do_not_sum_to_one(tmp_path):
    project = write_project(tmp_path)
    spec = ModelSpec(SPEC.inputs, SPEC.reading, ("no", "yes"))
    quantized(project / "m.tflite", spec=spec, scales=(0.05, 0.1))
    code, found = report("verify", project, project / "m.tflite", "--no-latency", *ON_LITERT)
    assert code == 0
    assert any("by the file's own parameters: x: int8, scale 0.05" in note for note in found["notes"])


def test_a_candidate_is_compared_with_an_onnx_reference_that_onnxruntime_runs(tmp_path):
    project = write_project(tmp_path)
    path = quantized(project / "m.tflite")
    code, found = report("verify", project, path, "--reference", project / "model.onnx", *ON_LITERT)
    assert code == 0
    (target,) = found["targets"]
    assert target["latency"]["p90_ms"] > 0
    assert "reference_latency" not in target or target["reference_latency"] is None
    assert target.get("speed_up") is None
    loading = target["evidence"]["footprint"]
    assert loading["load_ms"]
    assert loading["peak_bytes"] is None
    assert any("another runtime ran on the same device: it was not timed" in note for note in found["notes"])
    assert sum(cell["flipped"] for cell in target["flips"]) > 0
    assert gate(found, "eo_gap")["outcome"] == "PASS"


def test_a_record_of_such_a_file_is_judged_again_without_its_runtime(tmp_path):
    project = write_project(tmp_path)
    path = quantized(project / "m.tflite")
    asked = ("--reference", project / "model.onnx", "--no-latency", *ON_LITERT)
    _, first = report("verify", project, path, *asked, "--record", project / "raw.npz")
    code, again = report("verify", project, "--from-record", project / "raw.npz")
    assert code == 0
    assert again["targets"][0]["verdict"] == first["targets"][0]["verdict"]
    assert again["targets"][0]["device"] == first["targets"][0]["device"]
    assert again["model"]["sha256"] == first["model"]["sha256"] == sha256_file(path)


def test_compare_says_what_a_conversion_changed(tmp_path):
    project = write_project(tmp_path)
    path = quantized(project / "m.tflite")
    done = run("compare", project, project / "model.onnx", path, "--set", "targets=[litert]")
    assert done.exit_code == 0
    assert "paired: the same rows" in done.stdout


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda path: linear(path, rows=None), r"input 'x' has shape \[2\], whose first dimension is no batch"),
        (lambda path: linear(path, rows=4), r"has shape \[4, 2\], whose first dimension is no batch of one"),
        (lambda path: linear(path, weights=((1.0, 0.5, 2.0), (-1.0, -0.5, 0.0))), r"has shape \[1, 3\]"),
        (lambda path: linear(path, external=True), "buffers in other files, which the digest would not cover"),
        (lambda path: path.write_bytes(linear(path).read_bytes()[:300]), "cannot be loaded"),
        (lambda path: path.write_bytes(b""), "it is empty"),
    ],
)
def test_a_file_that_cannot_be_fed_or_is_not_whole_is_refused(tmp_path, write, why):
    project = write_project(tmp_path)
    write(project / "m.tflite")
    done = run("verify", project, project / "m.tflite", "--uncompressed", "--no-latency", *ON_LITERT)
    assert (done.exit_code, done.stdout) == (2, "")
    assert re.search(why, done.stderr.replace("\n", " ")), done.stderr


def test_a_file_of_another_format_than_the_targets_runtime_reads_is_refused(tmp_path):
    project = write_project(tmp_path)
    path = linear(project / "m.tflite")
    done = run("verify", project, path, "--uncompressed", "--no-latency")
    assert done.exit_code == 2
    assert "is in TFLite format, and target 'local' runs onnxruntime, which reads ONNX" in done.stderr
    assert "a target whose runtime is litert" in done.stderr
    done = run("verify", project, project / "model.onnx", "--uncompressed", "--no-latency", *ON_LITERT)
    assert done.exit_code == 2
    assert "is in ONNX format, and target 'litert' runs litert, which reads TFLite" in done.stderr


def test_a_quantized_file_is_not_its_own_reference(tmp_path):
    project = write_project(tmp_path)
    path = quantized(project / "m.tflite")
    done = run("verify", project, path, "--uncompressed", *ON_LITERT)
    assert done.exit_code == 2
    assert "contains the quantized tensor 'x' (int8)" in done.stderr


def test_what_a_runtime_does_not_take_as_it_is_is_refused(tmp_path):
    with open_target(load_profile("litert"), timeout_s=60) as probe:
        model = probe.load(linear(tmp_path / "m.tflite"), name="m")
        with pytest.raises(ModelError, match="no model file"):
            probe.load(tmp_path / "absent.tflite", name="n")
        assert probe.load(classifier(tmp_path / "m.onnx"), name="r", beside=True).providers == ("CPUExecutionProvider",)
        with pytest.raises(UsageError, match="input 'x' is float64, the model takes float32"):
            list(probe.run(model, iter([{"x": np.zeros((1, 2))}]), ["score"]))
