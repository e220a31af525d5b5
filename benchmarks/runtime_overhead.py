"""What the probe adds to the bare runtime for OpenVINO and LiteRT, as `verify_overhead.py` does for onnxruntime.

Two sides, interleaved in one run, on the same file, rows and threads: a network of 64, 512, 512 and 2 units.

- bare: a loop over the runtime's own calls on arrays that are there already, and nothing else;
- edgefair: the same arrays sent to the probe, decided there, sent back, checked, and read as decisions.

OpenVINO gets batches of 4,096 rows; LiteRT too, from a file with a dynamic batch, and single rows from one with a batch
of one, as converters write them.

    python benchmarks/runtime_overhead.py [--quick]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from machine import finish, print_machine
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import Reading
from edgefair.targets import load_profile, open_target

try:
    import flatbuffers
    import openvino
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter
except ImportError as error:
    print(f"runtime_overhead: not measured, {error}: pip install 'edgefair[runtimes]'")
    sys.exit(0)

GOAL = 1.15
ROWS, BATCH, UNITS = 40_960, 4096, (64, 512, 512, 2)
READING = Reading("logits", "logits")


def weights() -> list[np.ndarray]:
    """Of every layer, [units, units before]."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(b, a)).astype(np.float32) / a**0.5 for a, b in itertools.pairwise(UNITS)]


def onnx_file(path: Path) -> Path:
    """The network as ONNX."""
    nodes, names = [], "x"
    for layer in range(3):
        out = "logits" if layer == 2 else f"sums{layer}"
        nodes.append(helper.make_node("Gemm", [names, f"w{layer}"], [out], transB=1))
        names = out
        if layer < 2:
            names = f"hidden{layer}"
            nodes.append(helper.make_node("Relu", [out], [names]))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [info("x", TensorProto.FLOAT, ["n", UNITS[0]])],
        [info("logits", TensorProto.FLOAT, ["n", UNITS[-1]])],
        [numpy_helper.from_array(array, f"w{layer}") for layer, array in enumerate(weights())],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def tflite_file(path: Path, *, dynamic: bool) -> Path:
    """The network as TFLite."""

    def tensor(name: str, shape: list[int], buffer: int, *, rows: bool) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, schema.TensorType.FLOAT32, buffer
        if rows and dynamic:
            made.shapeSignature = [-1, *shape[1:]]
        return made

    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], [schema.BufferT()]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    graph.tensors, graph.operators, graph.inputs = [tensor("x", [1, UNITS[0]], 0, rows=True)], [], [0]
    for layer, array in enumerate(weights()):
        held = schema.BufferT()
        held.data = np.frombuffer(array.tobytes(), np.uint8)
        model.buffers.append(held)
        before = len(graph.tensors) - 1
        graph.tensors.append(tensor(f"w{layer}", list(array.shape), layer + 1, rows=False))
        out = "logits" if layer == 2 else f"hidden{layer}"
        graph.tensors.append(tensor(out, [1, len(array)], 0, rows=True))
        operator = schema.OperatorT()
        operator.opcodeIndex = 0
        operator.inputs, operator.outputs = [before, before + 1, -1], [before + 2]
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = schema.FullyConnectedOptionsT()
        if layer < 2:
            operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
        graph.operators.append(operator)
    graph.outputs = [len(graph.tensors) - 1]
    builder = flatbuffers.Builder(1 << 22)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def bare_openvino(path: Path, batches: list[np.ndarray]) -> Callable[[], list[np.ndarray]]:
    """A loop of OpenVINO's own."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    core = openvino.Core()
    request = core.compile_model(core.read_model(path.read_bytes()), "CPU", settings).create_infer_request()
    return lambda: [request.infer({"x": batch}, share_inputs=True)["logits"] for batch in batches]


def bare_litert(path: Path, batches: list[np.ndarray]) -> Callable[[], list[np.ndarray]]:
    """A loop of LiteRT's own; the file's batch is that of the arrays."""
    interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1)
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(taken, batches[0].shape)
    interpreter.allocate_tensors()

    def loop() -> list[np.ndarray]:
        found = []
        for batch in batches:
            interpreter.set_tensor(taken, batch)
            interpreter.invoke()
            found.append(interpreter.get_tensor(given))
        return found

    return loop


def overhead(name: str, target: str, path: Path, x: np.ndarray, bare: Any, *, alone: bool, rounds: int) -> float:
    """The median ratio of both sides; they decide alike."""
    loop = bare(path, [x[at : at + (1 if alone else BATCH)] for at in range(0, len(x), 1 if alone else BATCH)])
    ours, theirs = [], []
    with open_target(load_profile(target)) as probe:
        model = probe.load(path, name="candidate")
        for _ in range(rounds + 1):
            started = time.perf_counter()
            expected = loop()
            between = time.perf_counter()
            batches = ({"x": x[at : at + BATCH]} for at in range(0, len(x), BATCH))
            parts = [read_decisions(part, READING, 2)[0] for part in probe.run(model, batches, ["logits"])]
            ours.append(time.perf_counter() - between)
            theirs.append(between - started)
            assert np.array_equal(np.concatenate(parts), np.concatenate(expected).argmax(axis=1))
    ratio = statistics.median(a / b for a, b in zip(ours[1:], theirs[1:], strict=True))
    print(
        f"{name:<24} bare {statistics.median(theirs[1:]):.3f} s, edgefair {statistics.median(ours[1:]):.3f} s: "
        f"{ratio:.3f}"
    )
    return ratio


def main() -> None:
    """Run every runtime, and hold the worst against the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 5 if parser.parse_args().quick else 15
    print_machine("openvino", "ai-edge-litert", "numpy")
    x = np.random.default_rng(1).normal(size=(ROWS, UNITS[0])).astype(np.float32)
    print(f"{ROWS:,} rows of {UNITS[0]} numbers, one thread, {rounds} interleaved rounds, medians:")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many, one = (tflite_file(folder / f"{dynamic}.tflite", dynamic=dynamic) for dynamic in (True, False))
        sides = [
            ("OpenVINO", "openvino", onnx_file(folder / "m.onnx"), bare_openvino, False),
            ("LiteRT, dynamic batch", "litert", many, bare_litert, False),
            ("LiteRT, a batch of one", "litert", one, bare_litert, True),
        ]
        worst = max(
            overhead(what, target, path, x, bare, alone=alone, rounds=rounds)
            for what, target, path, bare, alone in sides
        )
    finish("runtime_overhead", worst, GOAL, at_most=True)


if __name__ == "__main__":
    main()
