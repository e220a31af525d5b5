"""OpenVINO by itself: the bare runtime's decisions, in the precision and on the device that were asked for."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.errors import MeasurementError, ModelError, UsageError
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.openvino import check_threads, check_used
from edgefair.targets import load_profile, open_target
from edgefair.targets.profile import TargetProfile
from tests.targets.bare import openvino_outputs
from tests.targets.onnx_models import classifier, saturating, save, value
from tests.targets.people import report, write_project

pytestmark = pytest.mark.runtimes


@pytest.fixture(autouse=True)
def _installed():
    pytest.importorskip("openvino")


def asked(**config):
    return load_profile("openvino").model_copy(update={"config": config})


def network(path):
    """Sums that are long enough for bf16 to change decisions."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(64, 128)).astype(np.float32), rng.normal(size=(128, 2)).astype(np.float32)
    return save(
        path,
        [
            helper.make_node("MatMul", ["x", "first"], ["sums"]),
            helper.make_node("Relu", ["sums"], ["hidden"]),
            helper.make_node("MatMul", ["hidden", "second"], ["logits"]),
        ],
        [value("x", TensorProto.FLOAT, ["n", 64])],
        [value("logits", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )


def logits(profile, path, x):
    with open_target(profile, timeout_s=60) as probe:
        model = probe.load(path, name="m")
        (found,) = probe.run(model, iter([{"x": x}]), ["logits"])
        return found["logits"], probe.identity


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_outputs_are_those_of_a_bare_script_in_the_precision_that_was_asked_for(tmp_path, precision):
    x = np.random.default_rng(1).normal(size=(2000, 64)).astype(np.float32)
    path = network(tmp_path / "m.onnx")
    try:
        found, identity = logits(asked(precision=precision), path, x)
    except MeasurementError as error:
        pytest.skip(f"this processor has no {precision}: {error}")
    assert np.array_equal(found, openvino_outputs(path.read_bytes(), x, precision)["logits"])
    assert identity["engine.precision"] == precision
    assert identity["engine.device"] == "CPU"
    assert len(identity["engine.kernels"]) == 64
    assert ("bf16" in identity["engine.precisions"]) == (precision == "bf16")


def test_nothing_is_kept_in_the_users_home_and_nobody_is_called(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    logits(load_profile("openvino"), network(tmp_path / "m.onnx"), np.zeros((1, 64), np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_integer_kernels_decide_as_in_a_bare_script(tmp_path):
    x = np.random.default_rng(2).uniform(0, 255, size=(500, 8)).astype(np.float32)
    path = saturating(tmp_path / "m.onnx")
    found, _ = logits(load_profile("openvino"), path, x)
    assert np.array_equal(found, openvino_outputs(path.read_bytes(), x)["logits"])


def test_a_release_is_judged_and_the_report_says_what_was_compiled(tmp_path):
    project = write_project(tmp_path)
    code, found = report(
        "verify", project, project / "model.onnx", "--uncompressed", "--no-latency", "--target", "openvino"
    )
    assert code == 0
    device = found["targets"][0]["device"]
    assert device["engine"]["precision"] == "f32"
    assert (
        device["session"] | {"runtime": "openvino", "config": {"device": "CPU", "precision": "f32"}}
        == (device["session"])
    )


def facts(**other):
    return {"device": "CPU", "precision": "f32", "reduced": "", **other}


@pytest.mark.parametrize(
    ("used", "device", "precision", "why"),
    [
        (facts(), "GPU", "f32", "on CPU, and the profile says GPU"),
        (facts(device="GPU.0, CPU"), "GPU", "f32", "on GPU.0, CPU"),
        (facts(device="GPU.0"), "GPU.1", "f32", "on GPU.0, and the profile says GPU.1"),
        (facts(precision="bf16"), "CPU", "f32", "computes in bf16 on CPU, and the profile says f32"),
        (facts(), "CPU", "bf16", "computes in f32 on CPU, and the profile says bf16"),
        (facts(reduced="bf16 f16"), "CPU", "f16", "computes in bf16"),
    ],
)
def test_a_silent_fall_back_is_an_error(used, device, precision, why):
    with pytest.raises(ProbeError, match=why) as caught:
        check_used(used, device, precision)
    assert caught.value.kind == "no_runtime"


def test_what_was_asked_for_is_no_fall_back():
    check_used(facts(device="GPU.1"), "GPU", "f32")
    check_used(facts(reduced="f16", precision="f16"), "CPU", "f16")
    check_threads(1, 1)


def test_a_device_that_is_not_there_and_threads_that_are_not_used_are_errors(tmp_path):
    path = classifier(tmp_path / "m.onnx")
    for profile, why in (
        (asked(device="GPU.7"), r"finds no GPU.7, only CPU.*: install its driver"),
        (load_profile("openvino").model_copy(update={"threads": 4000}), "and the profile says 4000"),
        (load_profile("openvino").model_copy(update={"optimization": "basic"}), "OpenVINO has no levels"),
    ):
        with open_target(profile, timeout_s=60) as probe, pytest.raises(MeasurementError, match=why):
            probe.load(path, name="m")


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"device": "AUTO"}, "device is 'AUTO'"),
        ({"device": "HETERO:GPU,CPU"}, "not CPU, GPU, GPU.1"),
        ({"precision": "int8"}, "not f32, f16, bf16"),
        ({"CACHE_DIR": "/tmp"}, "is not an OpenVINO setting: device, precision"),
    ],
)
def test_settings_that_choose_by_themselves_or_read_files_are_refused_before_a_device_is_asked(config, why):
    with pytest.raises(ValueError, match=why):
        TargetProfile(name="t", transport="local", runtime="openvino", config=config)


def test_operators_that_openvino_does_not_have_are_named(tmp_path):
    nodes = [helper.make_node("Nonsense", ["x"], ["logits"], domain="my.own")]
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, ["n", 2])], [value("logits", TensorProto.FLOAT, ["n", 2])]
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("my.own", 1)]
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
    with (
        open_target(load_profile("openvino"), timeout_s=60) as probe,
        pytest.raises(ModelError, match=r"operations: my\.own\.Nonsense"),
    ):
        probe.load(path, name="m")


def test_inputs_of_another_type_are_refused_and_never_converted(tmp_path):
    with open_target(load_profile("openvino"), timeout_s=60) as probe:
        model = probe.load(classifier(tmp_path / "m.onnx"), name="m")
        with pytest.raises(UsageError, match="input 'x' is float64, the model takes float32"):
            list(probe.run(model, iter([{"x": np.zeros((1, 2))}]), ["decision"]))
