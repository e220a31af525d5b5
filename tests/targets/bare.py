"""Each runtime as a bare script uses it: what the probe's decisions must equal."""

import numpy as np


def openvino_outputs(content, x, precision="f32"):
    """Outputs by name of an ONNX file with one input."""
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(content), "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return {port.any_name: np.array(value) for port, value in compiled([x]).items()}
