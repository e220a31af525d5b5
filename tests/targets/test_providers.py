"""Providers of onnxruntime's that come as plugins, on Qualcomm's NPU simulator and on OpenVINO, where they are here."""

import importlib
import json

import numpy as np
import onnx
import onnxruntime
import pytest

from edgefair.errors import MeasurementError
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.probe.bundles.settings import device_class
from edgefair.probe.runtimes.providers.settings import PACKAGES
from edgefair.report.terminal.timing import device_line
from edgefair.targets import TargetProfile, load_profile, open_target
from edgefair.targets.sections import ProviderSection
from tests.bundle.small_bundle import RAW, write_bundle
from tests.targets.onnx_models import batches, classifier
from tests.targets.people import CONFIG, report, write_project
from tests.targets.plugins import plugin_of

pytestmark = pytest.mark.runtimes

CPU, QNN = "CPUExecutionProvider", "QNNExecutionProvider"
SIMULATOR = load_profile("qnn-simulator")
ROWS = 40


@pytest.fixture(scope="module")
def qnn():
    return pytest.importorskip("onnxruntime_qnn")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return classifier(tmp_path_factory.mktemp("models") / "m.onnx")


def with_provider(**changes):
    provider, *others = SIMULATOR.model_dump()["providers"]
    named = [{**provider, **changes}, *others]
    return TargetProfile.model_validate({**SIMULATOR.model_dump(exclude_unset=True), "providers": named})


def measured(profile, path):
    """Outputs of all rows, the loaded model and the device's fingerprint."""
    with open_target(profile) as probe:
        loaded = probe.load(path, name="m")
        parts = list(probe.run(loaded, batches(ROWS, 16)[1], ["decision", "score"]))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, loaded, probe.device


@pytest.mark.parametrize("name", ["qnn-simulator", "openvino-ep"])
def test_a_plugin_decides_as_a_bare_script_does(path, name):
    profile = load_profile(name)
    settings = profile.providers[0]
    plugin_of(settings.package, settings.name)
    found, loaded, device = measured(profile, path)

    (chosen,) = [item for item in onnxruntime.get_ep_devices() if item.ep_name == settings.name]
    options = onnxruntime.SessionOptions()
    options.add_provider_for_devices([chosen], dict(settings.options))
    if profile.batch == 1:
        options.add_free_dimension_override_by_name("n", 1)
    session = onnxruntime.InferenceSession(path.read_bytes(), options)
    rows = batches(ROWS, 1)[1]
    bare = [session.run(["decision", "score"], row) for row in rows]

    assert np.array_equal(found["decision"], np.concatenate([decision for decision, _ in bare]))
    assert np.array_equal(found["score"], np.concatenate([score for _, score in bare]))
    assert loaded.engine["nodes"] == {settings.name: 3}
    facts = device["engine"]["providers"][settings.name]
    assert facts["package"].startswith(PACKAGES[settings.package])
    assert len(facts["library"]) == 64
    assert facts["onnxruntime"] == onnxruntime.__version__


def test_the_simulator_computes_in_half_precision_and_is_judged_nevertheless(tmp_path, qnn):
    """Sums of its softmax are off by more than 0.001, which was too much for a probability once."""
    project = write_project(tmp_path)
    (project / "edgefair.yaml").write_text(CONFIG.replace("max_eo_gap: 0.1", "max_eo_gap: 0.2"))
    code, said = report("verify", project, project / "model.onnx", "--target", "qnn-simulator", "--no-latency")
    target = said["targets"][0]
    assert code == 0, target["verdict"]
    device = target["device"]
    assert device["engine"]["nodes"] == {QNN: 3}
    assert device["session"]["provider_settings"][QNN]["options"]["htp_arch"] == "73"
    assert dict(device_class(device).bound_to)[f"providers.{QNN}.package"].startswith("onnxruntime-qnn ")
    assert "soc_model=43, batch 1, 3 of 3 nodes on QNNExecutionProvider (onnxruntime-qnn " in device_line(device)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"backend_type": "cpu"}}, r"took none of the 3 nodes, .*; it said: .*libQnnCpu\.so"),
        ({"options": {}}, "refuses its options: .*Could not determine default backend path"),
        ({"device": {"type": "npu"}}, "finds CPU of .*, and the profile's type npu does not choose one"),
        ({"package": None, "library": "/usr/lib/x86_64-linux-gnu/libm.so.6"}, "does not load into onnxruntime"),
    ],
)
def test_a_provider_that_cannot_do_it_is_a_failed_measurement(path, qnn, changes, message):
    with open_target(with_provider(**changes)) as probe, pytest.raises(MeasurementError, match=message) as caught:
        probe.load(path, name="m")
    assert caught.value.exit_code == 4


def test_what_openvino_does_not_take_is_a_failed_measurement_with_its_words(path):
    plugin_of("onnxruntime_ep_openvino", "OpenVINOExecutionProvider")
    profile = load_profile("openvino-ep")
    said = profile.providers[0].model_dump()
    said["options"] = {"load_config": '{"CPU": {"INFERENCE_PRECISION_HINT": "f99"}}'}
    other = profile.model_copy(update={"providers": (ProviderSection.model_validate(said),)})
    with open_target(other) as probe, pytest.raises(MeasurementError, match=r"refuses its options: .*Wrong value f99"):
        probe.load(path, name="m")


def test_sizes_that_are_not_fixed_run_nowhere_but_on_the_cpu_and_that_is_found_out(path, qnn):
    profile = SIMULATOR.model_copy(update={"batch": None})
    with open_target(profile) as probe, pytest.raises(MeasurementError, match=r"took none of .*want `batch: 1`"):
        probe.load(path, name="m")


@pytest.fixture
def with_an_operator_that_the_npu_lacks(path, tmp_path):
    model = onnx.load_model(path)
    model.graph.node[0].input[0] = "erf"
    model.graph.node.insert(0, onnx.helper.make_node("Erf", ["x"], ["erf"]))
    onnx.save_model(model, tmp_path / "erf.onnx")
    return tmp_path / "erf.onnx"


def test_how_much_of_a_graph_the_provider_took_is_said(with_an_operator_that_the_npu_lacks, qnn):
    _, loaded, device = measured(SIMULATOR, with_an_operator_that_the_npu_lacks)
    assert loaded.engine["nodes"] == {QNN: 3, CPU: 1}
    assert "3 of 4 nodes on QNNExecutionProvider" in device_line(device)


def test_the_cpu_takes_no_node_where_the_profile_does_not_name_it(with_an_operator_that_the_npu_lacks, qnn):
    alone = SIMULATOR.model_copy(update={"providers": SIMULATOR.providers[:1]})
    message = f"1 of 4 nodes ran on {CPU}, which `providers` does not name: add {CPU}"
    with open_target(alone) as probe, pytest.raises(MeasurementError, match=message):
        probe.load(with_an_operator_that_the_npu_lacks, name="m")


# Bundles ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged_device(path, qnn):
    return measured(SIMULATOR, path)[2]


def test_the_loader_runs_what_was_judged(tmp_path, path, judged_device):
    found, _, _ = measured(SIMULATOR, path)
    model = load(write_bundle(tmp_path / "b", devices=[judged_device]))
    x, _ = batches(ROWS, ROWS)
    predicted = model.predict({"a": x[:, 0].tolist(), "b": x[:, 1].tolist()})
    assert np.array_equal(predicted.score, np.clip(found["score"], 0, 1))
    assert model._loaded.session.get_providers() == [QNN, CPU]


@pytest.mark.parametrize(
    ("key", "value"), [("package", "onnxruntime-qnn 2.6.0"), ("library", "0" * 64), ("onnxruntime", "1.31.0")]
)
def test_the_loader_refuses_another_version_of_the_provider(tmp_path, judged_device, key, value):
    device = json.loads(json.dumps(judged_device))
    device["engine"]["providers"][QNN][key] = value
    with pytest.raises(BundleError, match=f"providers.{QNN}.{key} is .* here, and the model was judged with {value}"):
        load(write_bundle(tmp_path / "b", devices=[device]))


def test_the_loader_refuses_where_other_nodes_run_on_the_cpu(tmp_path, judged_device):
    device = json.loads(json.dumps(judged_device))
    device["engine"]["nodes"] = {QNN: 2, CPU: 1}
    with pytest.raises(BundleError, match=r"its nodes run on .* here, and they ran on"):
        load(write_bundle(tmp_path / "b", devices=[device]))


def test_a_library_is_loaded_from_where_the_caller_says_and_from_nowhere_else(tmp_path, path, qnn):
    library = importlib.import_module("onnxruntime_qnn").get_library_path()
    device = measured(with_provider(package=None, library=library), path)[2]
    bundle = write_bundle(tmp_path / "b", devices=[device])
    with pytest.raises(BundleError, match="name it here, libraries="):
        load(bundle)
    assert load(bundle, libraries={QNN: library}).predict(RAW).decision == ["no", "yes"]
