"""What to install for a provider that is not there."""

from __future__ import annotations

from edgefair.probe.runtimes.providers.settings import PACKAGES

# The package whose build of onnxruntime has a provider, from https://onnxruntime.ai/docs/execution-providers/
BUILDS = {
    "CUDAExecutionProvider": "onnxruntime-gpu",
    "TensorrtExecutionProvider": "onnxruntime-gpu",
    "DmlExecutionProvider": "onnxruntime-directml",
    "MIGraphXExecutionProvider": "onnxruntime-migraphx",
    "ROCMExecutionProvider": "onnxruntime-rocm",
}
# The package that brings a provider as a plugin for any onnxruntime, by the name to import.
PLUGINS = {
    "QNNExecutionProvider": "onnxruntime_qnn",
    "OpenVINOExecutionProvider": "onnxruntime_ep_openvino",
    "WebGpuExecutionProvider": "onnxruntime_ep_webgpu",
    "NvTensorRTRTXExecutionProvider": "onnxruntime_ep_nv_tensorrt_rtx",
    "MLXExecutionProvider": "onnxruntime_ep_mlx",
}


def advice(provider: str) -> str:
    """What to install for a provider, as far as a package is known to have it."""
    if provider == "CoreMLExecutionProvider":
        return "install onnxruntime on macOS, whose package has it"
    if provider in PLUGINS:
        module = PLUGINS[provider]
        return f"pip install {PACKAGES[module]}, and name it: `{{name: {provider}, package: {module}}}`"
    package = BUILDS.get(provider)
    return "install a build that has it" + ("" if package is None else f" ({package})")
