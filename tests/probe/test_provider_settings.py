"""What a profile may say of a provider: nothing that brings in other bytes, and nothing that would be ignored."""

import onnxruntime
import pytest
from pydantic import ValidationError

from edgefair.errors import MeasurementError, UsageError
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.models import open_model
from edgefair.probe.runtimes.providers.allowed import OPTIONS, check_options
from edgefair.probe.runtimes.providers.placement import misplaced
from edgefair.targets import TargetProfile, load_profile, open_target
from tests.targets.onnx_models import classifier

CPU, QNN, OPENVINO = "CPUExecutionProvider", "QNNExecutionProvider", "OpenVINOExecutionProvider"


@pytest.mark.parametrize(
    ("provider", "option", "value"),
    [
        (QNN, "profiling_file_path", "/tmp/x.csv"),
        (QNN, "op_packages", "Mine:/tmp/libmine.so:init"),
        (QNN, "qnn_saver_path", "libQnnSaver.so"),
        (QNN, "ep.context_file_path", "/tmp/ctx.onnx"),
        ("TensorrtExecutionProvider", "trt_engine_cache_path", "/tmp"),
        ("TensorrtExecutionProvider", "trt_extra_plugin_lib_paths", "/tmp/libmine.so"),
        ("NvTensorRTRTXExecutionProvider", "nv_runtime_cache_path", "/tmp"),
        ("WebGpuExecutionProvider", "dawnProcTable", "140000"),
        ("CoreMLExecutionProvider", "ModelCacheDirectory", "/tmp"),
        (OPENVINO, "cache_dir", "/tmp"),
        (CPU, "use_arena", "1"),
    ],
)
def test_an_option_that_reads_or_writes_a_file_or_is_unknown_is_refused_by_name(provider, option, value):
    with pytest.raises(ValueError, match=f"option '{option}' of {provider} is not known to be limited"):
        check_options(provider, {option: value})


@pytest.mark.parametrize(
    ("provider", "option", "value"),
    [
        (QNN, "backend_type", "saver"),
        (QNN, "backend_path", "/tmp/libQnnHtp.so"),
        (QNN, "htp_arch", "nine"),
        (QNN, "htp_performance_mode", "warp"),
        (OPENVINO, "load_config", "/tmp/config.json"),
        (OPENVINO, "load_config", '{"CPU": {"CACHE_DIR": "x"}}'),
        (OPENVINO, "load_config", '{"CPU": {"NUM_STREAMS": 1}}'),
        (OPENVINO, "load_config", '{"CPU": "NUM_STREAMS"}'),
        (OPENVINO, "load_config", "[" * 100_000),
        ("CUDAExecutionProvider", "use_tf32", "perhaps"),
    ],
)
def test_a_value_that_a_provider_would_ignore_or_look_up_is_refused(provider, option, value):
    with pytest.raises(ValueError, match=f"option '{option}' of {provider} is .*, which it does not take"):
        check_options(provider, {option: value})


def test_options_of_a_provider_that_nobody_has_looked_at_are_refused():
    check_options("NobodysExecutionProvider", {})
    with pytest.raises(ValueError, match="no option of NobodysExecutionProvider is known"):
        check_options("NobodysExecutionProvider", {"a": "1"})


def test_what_openvino_ignores_as_a_plugin_is_refused_there_alone():
    check_options(OPENVINO, {"precision": "FP32"})
    with pytest.raises(ValueError, match="known are disable_dynamic_shapes, load_config"):
        check_options(OPENVINO, {"precision": "FP32"}, is_plugin=True)


def test_no_known_option_takes_a_path():
    paths = ("/etc/passwd", "../x", "x.so", "C:\\x", "", "\n", "1\n")
    taken = [(name, option, path) for name, known in OPTIONS.items() for option in known for path in paths
             if known[option](path) and not option.startswith("nv_profile_")]  # fmt: skip
    assert not taken


def profile(**settings):
    return TargetProfile(name="t", transport="local", **settings)


def test_a_provider_is_a_name_or_a_name_with_settings():
    assert profile(providers=[CPU]).facts == profile(providers=[{"name": CPU}]).facts == load_profile("local").facts
    options = {"htp_arch": "73", "backend_type": "htp"}
    named = [{"name": QNN, "package": "onnxruntime_qnn", "options": options}, CPU]
    said = profile(providers=named, batch=1)
    assert said.model_dump(mode="json")["providers"] == named, "as it was written"
    assert TargetProfile.model_validate(said.model_dump()) == said
    assert said.facts["session"] == {
        "runtime": "onnxruntime",
        "providers": [QNN, CPU],
        "provider_settings": {QNN: {"package": "onnxruntime_qnn", "options": options}},
        "optimization": "all",
        "batch": 1,
        "config": {},
        "threads": 1,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"providers": [{"name": QNN, "options": {"dump_json_qnn_graph": "1"}}]}, "'dump_json_qnn_graph' of QNN"),
        ({"providers": [{"name": QNN, "package": "os"}]}, "package 'os' of QNN.* is none of onnxruntime_qnn"),
        ({"providers": [{"name": QNN, "package": "onnxruntime_qnn", "library": "/x"}]}, "a package and a library"),
        ({"providers": [{"name": QNN, "device": {"type": "npu"}}]}, "is built in and chooses no device"),
        ({"providers": [CPU, QNN]}, "CPUExecutionProvider stands before QNNExecutionProvider"),
        ({"providers": [QNN, QNN]}, "names one twice"),
        ({"runtime": "tensorrt", "providers": [], "batch": 1}, "runtime tensorrt has no batch"),
        ({"runtime": "tensorrt", "providers": [{"name": QNN, "library": "/x"}]}, "has no provider settings"),
        ({"batch": 2}, "Input should be 1"),
        ({"providers": [{"name": QNN, "option": {}}]}, "Extra inputs are not permitted"),
    ],
)
def test_a_profile_whose_provider_cannot_be_so_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        profile(**settings)


def test_a_misspelt_setting_of_a_provider_is_named(tmp_path):
    (tmp_path / "p.yaml").write_text("name: p\ntransport: local\nproviders: [{name: X, libary: /x}]\n")
    with pytest.raises(UsageError, match=r"unknown key 'providers.0.libary' \(did you mean 'library'"):
        load_profile(str(tmp_path / "p.yaml"))


def test_the_probe_refuses_what_a_profile_may_not_say(tmp_path):
    content = classifier(tmp_path / "m.onnx").read_bytes()
    options = {"threads": 1, "optimization": "all", "config": {}, "providers": [CPU]}
    for settings in (
        {CPU: {"options": {"a": "b"}}},
        {"X": {}},
        {CPU: 1},
        {CPU: {"options": {"a": 1}}},
        {CPU: {"x": 1}},
    ):
        with pytest.raises(ProbeError) as caught:
            open_model(content, {**options, "provider_settings": settings})
        assert caught.value.kind == "bad_request"


@pytest.mark.parametrize(
    ("name", "message"),
    [("no.so", "'.*no.so', cannot be read: No such file"), ("text.so", "'.*text.so', does not load into onnxruntime")],
)
def test_a_library_that_does_not_load_is_a_failed_measurement(tmp_path, name, message):
    (tmp_path / "text.so").write_text("no library\n")
    target = profile(providers=[{"name": "MineExecutionProvider", "library": str(tmp_path / name)}, CPU])
    path = classifier(tmp_path / "m.onnx")
    with open_target(target, timeout_s=60) as probe, pytest.raises(MeasurementError, match=message) as caught:
        probe.load(path, name="m")
    assert caught.value.exit_code == 4


def test_a_runtime_that_cannot_tell_where_nodes_ran_takes_no_plugin(tmp_path, monkeypatch):
    session = onnxruntime.InferenceSession.__mro__[1]
    monkeypatch.delattr(session, "get_provider_graph_assignment_info")
    content = classifier(tmp_path / "m.onnx").read_bytes()
    options = profile(providers=[{"name": "MineExecutionProvider", "library": "/x.so"}]).facts["session"]
    with pytest.raises(ProbeError, match=r"on the device is older than 1\.24"):
        open_model(content, options)


@pytest.mark.parametrize(
    ("nodes", "providers", "fault"),
    [
        ({}, [QNN, CPU], None),
        ({QNN: 3}, [QNN], None),
        ({QNN: 3, CPU: 1}, [QNN, CPU], None),
        ({CPU: 4}, [QNN, CPU], f"{QNN} took none of the 4 nodes, all ran on {CPU}"),
        ({QNN: 3, CPU: 1}, [QNN], f"1 of 4 nodes ran on {CPU}, which `providers` does not name: add {CPU}"),
        ({QNN: 3, OPENVINO: 1}, [QNN, CPU], f"1 of 4 nodes ran on {OPENVINO}, which `providers` does not name"),
    ],
)
def test_a_graph_that_ran_elsewhere_is_a_fault(nodes, providers, fault):
    found = misplaced(nodes, providers)
    assert found is None if fault is None else found.startswith(fault)
