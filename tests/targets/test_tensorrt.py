"""Profiles for NVIDIA GPUs on a machine that has none: the probe says what is missing, and never runs elsewhere."""

import importlib.util

import onnxruntime
import pytest

from edgefair.errors import EdgefairError, MeasurementError
from edgefair.probe.runtimes.cuda import CudaError, Device
from edgefair.targets import TargetProfile, load_profile, open_target
from edgefair.targets.runtimes import host_runtime
from tests.targets.onnx_models import classifier

without_provider = pytest.mark.skipif(
    "TensorrtExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime has TensorRT"
)
without_tensorrt = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is installed here"
)


def refusal(profile, path):
    with open_target(profile, timeout_s=60) as probe, pytest.raises(EdgefairError) as caught:
        probe.load(classifier(path), name="m")
    assert caught.value.exit_code != 1, "a missing runtime is no verdict"
    return caught.value


@without_provider
def test_an_absent_provider_is_named_and_the_cpu_does_not_stand_in_for_it(tmp_path):
    error = refusal(load_profile("onnxruntime-tensorrt"), tmp_path / "m.onnx")
    assert isinstance(error, MeasurementError)
    assert "on the device has no TensorrtExecutionProvider, CUDAExecutionProvider, only " in str(error)
    assert "CPUExecutionProvider: install a build that has it (onnxruntime-gpu" in str(error)


def test_a_misspelt_provider_is_named(tmp_path):
    providers = ("CpuExecutionProvider", "CPUExecutionProvider")
    profile = TargetProfile(name="t", transport="local", providers=providers)
    assert "has no CpuExecutionProvider, only" in str(refusal(profile, tmp_path / "m.onnx"))


@without_tensorrt
def test_without_tensorrt_the_target_says_what_to_install(tmp_path):
    error = refusal(load_profile("tensorrt"), tmp_path / "m.onnx")
    assert "TensorRT is not installed on the device" in str(error)
    assert "pip install tensorrt" in str(error)


def test_with_tensorrt_and_without_a_gpu_the_target_says_what_is_missing(tmp_path):
    pytest.importorskip("tensorrt", exc_type=ImportError)
    missing = lacking_gpu()
    if missing is None:
        pytest.skip("a GPU is here")
    error = refusal(load_profile("tensorrt"), tmp_path / "m.onnx")
    assert isinstance(error, MeasurementError)
    assert f"TensorRT needs an NVIDIA GPU and its driver: {missing}" in str(error)


def lacking_gpu():
    try:
        Device()
    except CudaError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["tensorrt", "onnxruntime-tensorrt"])
def test_gpu_profiles_keep_all_eight_bits_whatever_the_host_processor(name):
    """`auto` would look at the processor beside the GPU."""
    assert load_profile(name).reduce_range is False
    assert load_profile(name).latency.measured


def test_another_tensorrt_or_gpu_is_another_device_to_a_trial():
    of = host_runtime("tensorrt").identity_of
    device = {"machine": "aarch64", "engine": {"tensorrt": "10.3.0", "device": "Orin", "sha256": "1"}}
    again = {**device, "engine": {**device["engine"], "sha256": "2"}}
    assert of(device) == of(again)
    for key in ("tensorrt", "device"):
        assert of(device) != of({**device, "engine": {**device["engine"], key: "other"}})
