"""Each runtime as a bare script uses it: what the probe's decisions must equal."""

import numpy as np


def openvino_outputs(content, x, precision="f32"):
    """Outputs by name of an ONNX file with one input."""
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(content), "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return {port.any_name: np.array(value) for port, value in compiled([x]).items()}


def litert_output(content, x, index=0):
    """An output [rows, ...] of a TFLite file with one input and a batch of one, by the file's own whole numbers."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[index]
    (scale, zero), (step, origin) = taken["quantization"], given["quantization"]
    rows = []
    for row in x:
        if scale:
            row = np.clip(np.round(row / scale) + zero, -128, 127)
        interpreter.set_tensor(taken["index"], row[None].astype(taken["dtype"]))
        interpreter.invoke()
        held = interpreter.get_tensor(given["index"])[0]
        rows.append((held.astype(np.float32) - origin) * step if step else held)
    return np.array(rows, dtype=np.float32)


def executorch_output(path, x):
    """The first output [rows, ...] of a program with one input and a batch of one."""
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(path).load_method("forward")
    return np.array([method.execute([torch.from_numpy(row[None].copy())])[0][0].tolist() for row in x], np.float32)
