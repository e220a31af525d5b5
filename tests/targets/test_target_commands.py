import json

from click.testing import CliRunner

from edgefair.cli import main
from edgefair.resources import shipped_names
from edgefair.targets import load_profile


def run(*arguments):
    return CliRunner().invoke(main, ["target", *arguments])


def listed_as_json():
    return json.loads(run("list", "--json").stdout)["targets"]


def test_every_shipped_target_is_listed_once_with_what_it_is_for():
    listed = listed_as_json()
    names = [item["name"] for item in listed]
    assert len(set(names)) == len(names) == len(shipped_names("deploy/targets"))
    assert all(item["about"] for item in listed)
    text = run("list").stdout
    assert all(name in text for name in names)


def test_a_targets_name_finds_its_profile_again():
    for item in listed_as_json():
        assert load_profile(item["name"]).name == item["name"]


def test_a_probed_target_says_what_it_is():
    device = json.loads(run("probe", "local", "--json").stdout)
    assert device["onnxruntime"]
    assert device["machine"] in run("probe", "local").stdout
    assert json.loads(run("prepare", "local", "--json").stdout)["cpu"] == device["cpu"]


def test_what_this_machine_lacks_to_be_a_target_is_listed(monkeypatch):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    device = {"machine": "x86_64", "flags": ["avx2"]}
    monkeypatch.setattr("edgefair.targets.transports.local.fingerprint", lambda: device)
    lacks = {item["name"]: item["lacks"] for item in listed_as_json()}
    assert lacks["local"] is None
    assert lacks["x86-avx2"] is None
    assert lacks["x86-vnni"].startswith("the device has no VNNI")
    assert "no TensorrtExecutionProvider, CUDAExecutionProvider" in lacks["onnxruntime-tensorrt"]
    assert "TensorRT is not installed" in lacks["tensorrt"]
    assert "no CUDAExecutionProvider: install a build that has it (onnxruntime-gpu)" in lacks["cuda"]
    assert lacks["qnn-htp"] == "the device is x86_64; it must be aarch64"
    packages = {"qnn-simulator": "qnn", "openvino-ep": "ep-openvino", "webgpu": "ep-webgpu"}
    for name, package in {**packages, "tensorrt-rtx": "ep-nv-tensorrt-rtx"}.items():
        assert lacks[name] == f"onnxruntime-{package} is not installed: pip install onnxruntime-{package}"


def test_tensorrt_without_a_gpu_is_no_target(monkeypatch):
    monkeypatch.setattr("edgefair.probe.runtimes.cuda.LIBRARY", "libcuda-that-is-nowhere.so.1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    lacks = {item["name"]: item["lacks"] for item in listed_as_json()}
    assert "no CUDA driver" in lacks["tensorrt"]


def test_an_unknown_target_is_a_usage_error_and_a_missing_one_a_failed_measurement(monkeypatch, tmp_path):
    assert run("probe", "qemu:nonsense").exit_code == 2
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("prepare", "qemu:haswell")
    assert result.exit_code == 4
    assert "is not installed" in result.stderr
    lacks = {item["name"]: item["lacks"] for item in listed_as_json()}
    assert "is not installed" in lacks["qemu:haswell"]
    assert lacks["local"] is None
