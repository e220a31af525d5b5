"""Qualcomm's NPU (Hexagon HTP), simulated on this machine: onnxruntime with the plugin of `onnxruntime-qnn`."""

import functools

import numpy as np
import onnx
import onnxruntime
import pytest

PROVIDER = "QNNExecutionProvider"
# Snapdragon 8 Gen 2. Without them the simulator takes another that it has no memory for.
OPTIONS = {"htp_arch": "73", "soc_model": "43"}


@functools.cache
def simulator():
    """The provider's devices and options; skips where it is not installed."""
    package = pytest.importorskip("onnxruntime_qnn", reason="needs the package onnxruntime-qnn")
    if PROVIDER not in {device.ep_name for device in onnxruntime.get_ep_devices()}:
        onnxruntime.register_execution_provider_library(PROVIDER, package.get_library_path())
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == PROVIDER]
    return devices[:1], {"backend_path": package.get_qnn_htp_path(), **OPTIONS}


def simulated(model, inputs, names):
    """What the NPU answers in these outputs, row by row: it compiles fixed shapes."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for item in (*single.graph.input, *single.graph.output):
        item.type.tensor_type.shape.dim[0].dim_value = 1
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_provider_for_devices(*simulator())
    session = onnxruntime.InferenceSession(single.SerializeToString(), options)
    rows = len(next(iter(inputs.values())))
    answers = [session.run(names, {key: value[row : row + 1] for key, value in inputs.items()}) for row in range(rows)]
    return [np.concatenate(parts) for parts in zip(*answers, strict=True)]


def on_a_cpu(model, inputs, names):
    """What onnxruntime's own kernels answer."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(names, inputs)
