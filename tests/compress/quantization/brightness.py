"""A classifier whose INT8 file is fair on one processor and unfair on another, byte for byte the same file.

Pictures mix horizontal and vertical stripes and the stronger ones are the label; two groups differ only in brightness,
and every layer is homogeneous, so brightness changes no decision. Evidence for horizontal stripes reaches the
layer `stripes` over two neighbouring channels, evidence for vertical ones over two that are not neighbours: kernels
that add neighbours with 16-bit saturation halve the first kind where activations are large: in bright pictures.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision, quantize_static

SIDE = 16
INPUT, OUTPUT = "picture", "logits"
LAYERS = ("edges", "stripes", "decide")
SATURATES = "stripes"
DARK, BRIGHT = 0, 1
HORIZONTAL, VERTICAL = 0, 1
QEMU = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")


def brightness_model():
    """The FP32 classifier: `picture` float32 [rows, 1, 16, 16] -> `logits` float32 [rows, 2]."""
    edges = np.zeros((8, 1, 3, 3), np.float32)
    for channel in range(8):
        if channel in (0, 1, 3, 5):
            edges[channel, 0, [0, 2], 1] = 1, -1
        else:
            edges[channel, 0, 1, [0, 2]] = 1, -1
    stripes = np.zeros((16, 8, 1, 1), np.float32)
    stripes[:8, [0, 1]] = 1
    stripes[8:, [2, 4]] = 1
    decide = np.zeros((2, 16), np.float32)
    decide[0, 0:8:2] = decide[1, 8:16:2] = 1
    nodes = [
        helper.make_node("Conv", [INPUT, "w1"], ["a1"], "edges", kernel_shape=[3, 3]),
        helper.make_node("Relu", ["a1"], ["r1"], "edges_relu"),
        helper.make_node("Conv", ["r1", "w2"], ["a2"], "stripes", kernel_shape=[1, 1]),
        helper.make_node("Relu", ["a2"], ["r2"], "stripes_relu"),
        helper.make_node("GlobalAveragePool", ["r2"], ["pooled"], "mean"),
        helper.make_node("Flatten", ["pooled"], ["features"], "flat"),
        helper.make_node("Gemm", ["features", "w3", "b3"], [OUTPUT], "decide", transB=1),
    ]
    weights = {"w1": edges, "w2": stripes, "w3": 4 * decide, "b3": np.zeros(2, np.float32)}
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, ["rows", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def brightness_rows(n, seed):
    """Pictures float32 [n, 1, 16, 16], labels and groups int64 [n]; the four cells take turns."""
    rng = np.random.default_rng(seed)
    label, group = np.arange(n) % 2, np.arange(n) // 2 % 2
    weaker = rng.uniform(0.3, 0.75, n)
    start = rng.integers(0, 4, (n, 2))
    wave = ((np.arange(SIDE) + start[:, :, None]) // 2 % 2).astype(np.float32)
    strength = np.where(label[:, None] == (HORIZONTAL, VERTICAL), 1.0, weaker[:, None]) / 2
    horizontal = strength[:, 0, None, None] * wave[:, 0, :, None]
    vertical = strength[:, 1, None, None] * wave[:, 1, None, :]
    light = np.where(group == BRIGHT, 1.0, 0.4)[:, None, None]
    pictures = (horizontal + vertical) * light + rng.normal(0, 0.002, (n, SIDE, SIDE))
    return np.clip(pictures, 0, 1)[:, None].astype(np.float32), label, group


def int8_of(model, precision=None):
    """The model in INT8, calibrated on both groups; by default 8-bit weights per channel and uint8 activations."""
    prepared = prepare_graph(model)
    ranges = calibrate(prepared, batches(brightness_rows(200, seed=100)[0]), method="minmax")
    return quantize_static(prepared, ranges, CalibrationRecipe(name="test"), precision or Precision())


def batches(pictures, size=128):
    """The pictures as graph inputs."""
    return [{INPUT: pictures[start : start + size]} for start in range(0, len(pictures), size)]


def gap(decision, label, group):
    """Largest difference between the groups in a label's share of right decisions."""
    right = decision == label
    rate = [[right[(group == g) & (label == y)].mean() for y in (0, 1)] for g in (0, 1)]
    return float(np.abs(np.subtract(*rate)).max())


def native(model, pictures):
    """Decisions of this machine, int64 [rows]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run([OUTPUT], {INPUT: pictures})[0].argmax(axis=1)


_ON_HASWELL = """
import sys
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 3
feeds = dict(np.load(sys.argv[1]))
results = {}
for index, path in enumerate(sys.argv[3:]):
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    results[str(index)] = session.run(None, {name: feeds.get(name, feeds.get(f"{index}/{name}")) for name in names})[0]
np.savez(sys.argv[2], **results)
"""


def haswell(models, feeds, folder):
    """First output of every model on an emulated x86 processor with AVX2 and without VNNI.

    Args:
        feeds: graph input -> array, or "INDEX/INPUT" where models take different ones.
    """
    if QEMU is None:
        pytest.skip("qemu-x86_64-static is not installed (Debian: qemu-user-static)")
    paths = [folder / f"{index}.onnx" for index in range(len(models))]
    for path, model in zip(paths, models, strict=True):
        onnx.save_model(model, path)
    np.savez(folder / "in.npz", **feeds)
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    python = Path(sys.executable).resolve()
    command = [QEMU, "-cpu", "Haswell", python, "-c", _ON_HASWELL, folder / "in.npz", folder / "out.npz", *paths]
    done = subprocess.run(
        [str(item) for item in command],
        env={**os.environ, "PYTHONPATH": packages},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    results = np.load(folder / "out.npz")
    return [results[str(index)] for index in range(len(models))]
