"""A provider that is not there: the advice fits the provider."""

import onnxruntime
import pytest

from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.onnxruntime import RUNTIME


@pytest.mark.parametrize(
    ("provider", "advice", "other"),
    [
        ("OpenVINOExecutionProvider", "package: onnxruntime_ep_openvino", "onnxruntime-gpu"),
        ("QNNExecutionProvider", "onnxruntime-qnn, and name it: `{name: QNNExecutionProvider, package:", "gpu"),
        ("WebGpuExecutionProvider", "onnxruntime-ep-webgpu", "onnxruntime-gpu"),
        ("DmlExecutionProvider", "onnxruntime-directml", "onnxruntime-gpu"),
        ("CoreMLExecutionProvider", "macOS", "onnxruntime-gpu"),
        ("CUDAExecutionProvider", "onnxruntime-gpu", "openvino"),
        ("NobodysExecutionProvider", "a build that has it,", "onnxruntime-"),
    ],
)
def test_what_is_advised_has_the_provider(provider, advice, other):
    if provider in {device.ep_name for device in onnxruntime.get_ep_devices()}:
        pytest.skip(f"another test has registered {provider} in this process")
    options = {"threads": 1, "providers": [provider], "optimization": "all", "config": {}}
    with pytest.raises(ProbeError) as caught:
        RUNTIME.open(b"", options)
    advised = str(caught.value).partition("install ")[2]
    assert advice in advised
    assert other not in advised
